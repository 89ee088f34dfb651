//! The event record of version 3: the form in which the journal and the state file keep an event.
//!
//! ```text
//! offset  bytes  field
//! 0       1      version: 3
//! 1       1      flags; bits 0 to 3: a reader that does not know one ignores it; bits 4 to 7: it must know each
//! 2       2      length of the source's name in bytes, s
//! 4       16     id: UUID of version 7, the `webhook-id`
//! 20      8      time of receipt, milliseconds since the Unix epoch, signed
//! 28      8      steady time of receipt, milliseconds
//! 36      s      name of the source, UTF-8
//! 36+s    rest   sections, one after the other:
//!                  1 byte   type; below 128: a reader that does not know it skips it; from 128 on: it must know it
//!                  4 bytes  length of the content, n
//!                  n bytes  content
//! ```
//!
//! Everything before the sections is the head. It can be read without them. A section that is not there is empty or
//! absent. All integers are little-endian.

use bytes::Bytes;
use uuid::Uuid;

use super::{Attributes, DecodeError, Envelope, Event, NewEvent, VERSION};

/// Bytes of the head before the source's name.
const FIXED: usize = 36;
/// Bytes of a section before its content.
const SECTION: usize = 1 + 4;
/// Flags that a reader must know. This version knows none.
const MUST_KNOW_FLAGS: u8 = 0xf0;
/// Sections from this type on must be known.
const MUST_KNOW_SECTIONS: u8 = 128;

/// Path and query of the request, UTF-8.
const TARGET: u8 = 1;
/// Headers of the request: of each the length of its name, the name, the length of its value, the value. Lengths are
/// LEB128.
const HEADERS: u8 = 2;
/// The sender's type of the event, UTF-8.
const KIND: u8 = 3;
/// The sender's id of the event, UTF-8.
const SENDER_ID: u8 = 4;
/// The sender's origin of the event, UTF-8.
const ORIGIN: u8 = 5;
/// The sender's time of the event, milliseconds since the Unix epoch, signed, 8 bytes.
const SENDER_TIME: u8 = 6;
/// The body as received.
const BODY: u8 = 7;

/// The part of a record that can be read without the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// Id of the event.
    pub id: Uuid,
    /// Time of receipt, in milliseconds since the Unix epoch.
    pub received_at_ms: i64,
    /// Steady time of receipt, in milliseconds; 0 if a version before 3 wrote the record.
    pub steady_ms: u64,
    /// Name of the source.
    pub source: &'a str,
}

/// Returns the number of bytes of an event's record.
pub(super) fn len(event: &NewEvent<'_>) -> usize {
    let said = event.attributes;
    let texts = [Some(event.target), said.kind.as_deref(), said.id.as_deref(), said.origin.as_deref()];
    let texts: usize = texts.into_iter().flatten().map(|text| SECTION + text.len()).sum();
    let time = said.time_ms.map_or(0, |_| SECTION + 8);
    FIXED + event.source.len() + texts + time + SECTION + headers_len(event) + SECTION + event.body.len()
}

fn headers_len(event: &NewEvent<'_>) -> usize {
    let sized = |bytes: &[u8]| varint_len(bytes.len()) + bytes.len();
    event.headers.iter().map(|(name, value)| sized(name.as_bytes()) + sized(value)).sum()
}

/// Appends an event's record to `to`.
///
/// # Panics
/// With a source's name of 64 KiB or a section of 4 GiB, which no manifest and no listener accepts.
pub(super) fn write(event: &NewEvent<'_>, steady_ms: u64, to: &mut Vec<u8>) {
    let source = u16::try_from(event.source.len()).expect("a manifest bounds names far below 64 KiB");
    to.extend_from_slice(&[VERSION, 0]);
    to.extend_from_slice(&source.to_le_bytes());
    to.extend_from_slice(event.id.as_bytes());
    to.extend_from_slice(&event.received_at_ms.to_le_bytes());
    to.extend_from_slice(&steady_ms.to_le_bytes());
    to.extend_from_slice(event.source.as_bytes());
    section(to, TARGET, event.target.as_bytes());
    section_of(to, HEADERS, headers_len(event));
    for (name, value) in &event.headers {
        sized(to, name.as_bytes());
        sized(to, value);
    }
    let said = event.attributes;
    for (kind, text) in [(KIND, &said.kind), (SENDER_ID, &said.id), (ORIGIN, &said.origin)] {
        if let Some(text) = text {
            section(to, kind, text.as_bytes());
        }
    }
    if let Some(time_ms) = said.time_ms {
        section(to, SENDER_TIME, &time_ms.to_le_bytes());
    }
    section(to, BODY, event.body);
}

fn section(to: &mut Vec<u8>, kind: u8, content: &[u8]) {
    section_of(to, kind, content.len());
    to.extend_from_slice(content);
}

fn section_of(to: &mut Vec<u8>, kind: u8, len: usize) {
    let len = u32::try_from(len).expect("a listener bounds requests far below 4 GiB");
    to.push(kind);
    to.extend_from_slice(&len.to_le_bytes());
}

fn sized(to: &mut Vec<u8>, bytes: &[u8]) {
    let mut len = bytes.len();
    while len >= 0x80 {
        to.push(len.to_le_bytes()[0] | 0x80);
        len >>= 7;
    }
    to.push(len.to_le_bytes()[0]);
    to.extend_from_slice(bytes);
}

fn varint_len(value: usize) -> usize {
    (usize::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// Reads the head of a record, which begins with the version 3, and returns it with the offset of the first section.
pub(super) fn head(record: &[u8]) -> Result<(Head<'_>, usize), DecodeError> {
    let too_short = || DecodeError::TooShort(record.len());
    let fixed: &[u8; FIXED] = record.first_chunk().ok_or_else(too_short)?;
    if fixed[1] & MUST_KNOW_FLAGS != 0 {
        return Err(DecodeError::NewerFlags(fixed[1]));
    }
    let sections = FIXED + usize::from(u16::from_le_bytes([fixed[2], fixed[3]]));
    let source = text(record.get(FIXED..sections).ok_or_else(too_short)?, "source")?;
    let head = Head {
        id: Uuid::from_bytes(array(&fixed[4..20], "id")?),
        received_at_ms: i64::from_le_bytes(array(&fixed[20..28], "time of receipt")?),
        steady_ms: u64::from_le_bytes(array(&fixed[28..36], "steady time")?),
        source,
    };
    Ok((head, sections))
}

/// Reads a record, which begins with the version 3. The body shares the record's memory.
pub(super) fn read(record: &Bytes) -> Result<Event, DecodeError> {
    let (Head { id, received_at_ms, steady_ms, source }, mut at) = head(record)?;
    let mut envelope = Envelope {
        id,
        received_at_ms,
        steady_ms,
        source: source.to_owned(),
        target: String::new(),
        headers: Vec::new(),
        attributes: Box::<Attributes>::default(),
    };
    let mut body = Bytes::new();
    while at < record.len() {
        let too_short = || DecodeError::TooShort(record.len());
        let &[kind, length @ ..] = record[at..].first_chunk::<SECTION>().ok_or_else(too_short)?;
        let from = at + SECTION;
        let to = from.checked_add(u32::from_le_bytes(length) as usize).ok_or_else(too_short)?;
        let content = record.get(from..to).ok_or_else(too_short)?;
        let said = &mut envelope.attributes;
        match kind {
            TARGET => text(content, "target")?.clone_into(&mut envelope.target),
            HEADERS => envelope.headers = headers(content)?,
            KIND => said.kind = Some(text(content, "type")?.to_owned()),
            SENDER_ID => said.id = Some(text(content, "sender's id")?.to_owned()),
            ORIGIN => said.origin = Some(text(content, "origin")?.to_owned()),
            SENDER_TIME => said.time_ms = Some(i64::from_le_bytes(array(content, "sender's time")?)),
            BODY => body = record.slice(from..to),
            MUST_KNOW_SECTIONS.. => return Err(DecodeError::NewerSection(kind)),
            _ => {}
        }
        at = to;
    }
    Ok(Event { envelope, body })
}

fn headers(mut content: &[u8]) -> Result<Vec<(String, Vec<u8>)>, DecodeError> {
    let mut headers = Vec::new();
    while !content.is_empty() {
        let name = text(take_sized(&mut content)?, "header")?.to_owned();
        headers.push((name, take_sized(&mut content)?.to_vec()));
    }
    Ok(headers)
}

/// Takes a length and as many bytes from the front of `content`.
fn take_sized<'a>(content: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let malformed = || DecodeError::Malformed("header");
    let mut len = 0_u32;
    for shift in (0..u32::BITS).step_by(7) {
        let (byte, rest) = content.split_first().ok_or_else(malformed)?;
        *content = rest;
        let bits = u32::from(byte & 0x7f);
        len |= bits.checked_shl(shift).filter(|moved| moved >> shift == bits).ok_or_else(malformed)?;
        if byte & 0x80 == 0 {
            let (bytes, rest) = content.split_at_checked(len as usize).ok_or_else(malformed)?;
            *content = rest;
            return Ok(bytes);
        }
    }
    Err(malformed())
}

fn text<'a>(bytes: &'a [u8], field: &'static str) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::Malformed(field))
}

fn array<const N: usize>(bytes: &[u8], field: &'static str) -> Result<[u8; N], DecodeError> {
    bytes.try_into().map_err(|_| DecodeError::Malformed(field))
}
