//! The event records of versions 1 and 2, which are read for ever and no longer written.
//!
//! ```text
//! offset  bytes  field
//! 0       1      version: 1 or 2
//! 1       4      length of the envelope in bytes, n
//! 5       n      envelope, postcard
//! 5+n     rest   body, as received
//! ```

use bytes::Bytes;
use serde::Deserialize;
use uuid::Uuid;

use super::{Attributes, DecodeError, Envelope, Event, Head};

/// Version byte and the envelope's length.
const PREFIX: usize = 1 + 4;

/// The fields with which the envelopes of both versions begin.
#[derive(Deserialize)]
struct First<'a> {
    id: Uuid,
    received_at_ms: i64,
    source: &'a str,
}

/// The fields that follow in both versions.
#[derive(Deserialize)]
struct Rest {
    target: String,
    headers: Vec<(String, Vec<u8>)>,
}

/// The fields that version 2 has behind these.
#[derive(Deserialize)]
struct AttributesV2 {
    kind: Option<String>,
    id: Option<String>,
    origin: Option<String>,
    time_ms: Option<i64>,
}

/// Reads the head of a record of version 1 or 2.
pub(super) fn head(record: &[u8]) -> Result<Head<'_>, DecodeError> {
    let (First { id, received_at_ms, source }, _) = first(envelope(record)?.0)?;
    Ok(Head { id, received_at_ms, steady_ms: 0, source })
}

/// Reads a record of version 1 or 2. The body shares the record's memory.
pub(super) fn read(record: &Bytes, version: u8) -> Result<Event, DecodeError> {
    let (envelope, body_at) = envelope(record)?;
    let (First { id, received_at_ms, source }, rest) = first(envelope)?;
    let (Rest { target, headers }, rest) = postcard::take_from_bytes(rest).map_err(DecodeError::Envelope)?;
    let attributes = if version == 1 {
        Attributes::default()
    } else {
        let AttributesV2 { kind, id, origin, time_ms } =
            postcard::from_bytes(rest).map_err(DecodeError::Envelope)?;
        Attributes { kind, id, origin, time_ms }
    };
    let envelope = Envelope {
        id,
        received_at_ms,
        steady_ms: 0,
        source: source.to_owned(),
        target,
        headers,
        attributes: Box::new(attributes),
    };
    Ok(Event { envelope, body: record.slice(body_at..) })
}

/// Returns the bytes of the envelope, and the offset of the body.
fn envelope(record: &[u8]) -> Result<(&[u8], usize), DecodeError> {
    let too_short = || DecodeError::TooShort(record.len());
    let &[_, length @ ..] = record.first_chunk::<PREFIX>().ok_or_else(too_short)?;
    let body_at = PREFIX.checked_add(u32::from_le_bytes(length) as usize).ok_or_else(too_short)?;
    Ok((record.get(PREFIX..body_at).ok_or_else(too_short)?, body_at))
}

fn first(envelope: &[u8]) -> Result<(First<'_>, &[u8]), DecodeError> {
    postcard::take_from_bytes(envelope).map_err(DecodeError::Envelope)
}
