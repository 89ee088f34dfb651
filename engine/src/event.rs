//! The event and its envelope: what a source hands to the journal and a destination gets back,
//! byte for byte, over attempts, restarts and redrives.

use aws_lc_rs::digest;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One accepted webhook, as it is journalled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Everything that is known about the body, without the body.
    pub envelope: Envelope,
    /// The body as it came. Signatures cover these bytes, so nothing ever rewrites them.
    pub body: Bytes,
}

/// The metadata of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Random; the sender sees it as `visnyk-id`, destinations as `webhook-id`.
    pub id: Uuid,
    /// Time at which the whole request had been read, in milliseconds since the Unix epoch.
    pub received_at_ms: i64,
    /// The source's name in the manifest.
    pub source: String,
    /// The request's path and query, as sent.
    pub target: String,
    /// The request's headers in their order, names in lowercase, without those that its source does not keep
    /// ([`visnyk_crds::headers`]).
    pub headers: Vec<(String, Vec<u8>)>,
    /// The sender's statements about the event.
    pub attributes: Box<Attributes>,
}

/// A sender's statements about its event, in its own words. They are read only after the sender was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Type of the event, such as `push`.
    pub kind: Option<String>,
    /// Id that the sender gave: unique among events of the same source and origin, and the same when the event is sent
    /// again.
    pub id: Option<String>,
    /// Origin of the event: the `source` of a CloudEvents event.
    pub origin: Option<String>,
    /// Time of the event, in milliseconds since the Unix epoch.
    pub time_ms: Option<i64>,
}

impl Envelope {
    /// Returns the key under which a repeat of the event is recognized; `None` if its sender gave no id.
    pub fn key(&self) -> Option<Key> {
        let id = self.attributes.id.as_deref()?;
        Some(Key::new(&self.source, self.attributes.origin.as_deref(), id))
    }
}

/// Hash of a source, an origin and the id that the sender gave. Two events with the same key are the same event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(pub(crate) [u8; 16]);

impl Key {
    /// Returns the hash of these three. Each is hashed with its length, so that `a` and `bc` differ from `ab` and `c`.
    pub fn new(source: &str, origin: Option<&str>, id: &str) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [source, origin.unwrap_or_default(), id] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        let mut key = [0; 16];
        key.copy_from_slice(&context.finish().as_ref()[..16]);
        Self(key)
    }
}

/// An event whose stored bytes cannot be read as one.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the envelope does.
    #[error("event record of {0} bytes is too short")]
    TooShort(usize),
    /// The version byte is one that no version of Visnyk writes.
    #[error("event record has unknown version {0}")]
    UnknownVersion(u8),
    /// Written by a later version of Visnyk. It is whole, and is not to be counted as damaged.
    #[error(
        "event record has version {0}, this Visnyk reads up to {VERSION}: start the version that wrote it, or a later one"
    )]
    NewerVersion(u8),
    /// The envelope's bytes are not an envelope.
    #[error("event envelope cannot be read")]
    Envelope(#[source] postcard::Error),
}

impl DecodeError {
    /// Returns whether another version of Visnyk can read it.
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::NewerVersion(_))
    }
}

/// The first byte of every record; raised when the envelope's fields change. What was ever written is read for ever:
/// a new version adds an envelope here, and a folder to `fixtures/spool`.
const VERSION: u8 = 2;
/// Version byte and the envelope's length, little-endian.
const PREFIX: usize = 1 + 4;

/// The envelope of version 1.
#[derive(Deserialize)]
struct EnvelopeV1 {
    id: Uuid,
    received_at_ms: i64,
    source: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
}

impl From<EnvelopeV1> for Envelope {
    fn from(old: EnvelopeV1) -> Self {
        let EnvelopeV1 { id, received_at_ms, source, target, headers } = old;
        Self { id, received_at_ms, source, target, headers, attributes: Box::default() }
    }
}

impl Event {
    /// Returns the time at which it was received.
    pub fn received_at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.envelope.received_at_ms).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Returns the first header of this lowercase name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.envelope.headers.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value).ok()
    }

    /// Returns the bytes to journal: version, envelope length, envelope, body.
    ///
    /// # Panics
    /// With headers of 4 GiB, which no listener accepts.
    pub fn encode(&self) -> Bytes {
        let mut record = Vec::with_capacity(PREFIX + 512 + self.body.len());
        record.extend_from_slice(&[VERSION, 0, 0, 0, 0]);
        let mut record = postcard::to_extend(&self.envelope, record)
            .expect("an envelope of strings and integers always serialises");
        let envelope_len =
            u32::try_from(record.len() - PREFIX).expect("the listener bounds headers far below 4 GiB");
        record[1..PREFIX].copy_from_slice(&envelope_len.to_le_bytes());
        record.extend_from_slice(&self.body);
        record.into()
    }

    /// Reads what [`Event::encode`] wrote; the body shares the record's memory.
    pub fn decode(record: &Bytes) -> Result<Self, DecodeError> {
        let too_short = || DecodeError::TooShort(record.len());
        let prefix: [u8; PREFIX] =
            record.get(..PREFIX).and_then(|bytes| bytes.try_into().ok()).ok_or_else(too_short)?;
        let [version, length @ ..] = prefix;
        if version > VERSION {
            return Err(DecodeError::NewerVersion(version));
        }
        let body_at = PREFIX.checked_add(u32::from_le_bytes(length) as usize).ok_or_else(too_short)?;
        let envelope = record.get(PREFIX..body_at).ok_or_else(too_short)?;
        let envelope = match version {
            VERSION => postcard::from_bytes(envelope),
            1 => postcard::from_bytes(envelope).map(EnvelopeV1::into),
            _ => return Err(DecodeError::UnknownVersion(version)),
        };
        Ok(Self { envelope: envelope.map_err(DecodeError::Envelope)?, body: record.slice(body_at..) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(headers: Vec<(String, Vec<u8>)>, body: Vec<u8>) -> Event {
        Event {
            envelope: Envelope {
                id: Uuid::from_u128(7),
                received_at_ms: 1_694_366_671_123,
                source: "network".into(),
                target: "/?a=1".into(),
                headers,
                attributes: Box::new(Attributes {
                    kind: Some("push".into()),
                    id: Some("72d3162e".into()),
                    origin: None,
                    time_ms: Some(-1),
                }),
            },
            body: body.into(),
        }
    }

    proptest! {
        #[test]
        fn event_is_read_as_it_was_written(
            headers in proptest::collection::vec(("[a-z-]{1,20}", any::<Vec<u8>>()), 0..8),
            body in any::<Vec<u8>>(),
        ) {
            let written = event(headers, body);
            prop_assert_eq!(Event::decode(&written.encode()).unwrap(), written);
        }

        #[test]
        fn no_bytes_make_decode_panic(bytes in any::<Vec<u8>>()) {
            let _ = Event::decode(&bytes.into());
        }
    }

    #[test]
    fn record_of_a_newer_version_is_told_from_a_damaged_one() {
        let mut record = event(vec![], vec![]).encode().to_vec();
        for (version, is_newer) in [(0, false), (3, true), (255, true)] {
            record[0] = version;
            let error = Event::decode(&record.clone().into()).unwrap_err();
            assert_eq!(error.is_newer(), is_newer, "{error}");
        }
        record[0] = 9;
        let told = "event record has version 9, this Visnyk reads up to 2: start the version that wrote it, or a later one";
        assert_eq!(Event::decode(&record.into()).unwrap_err().to_string(), told);
    }
}
