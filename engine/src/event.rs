//! The event and its envelope: what a source hands to the journal and a destination gets back,
//! byte for byte, over attempts, restarts and redrives.

mod earlier;
mod record;

use aws_lc_rs::digest;
use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

pub use record::Head;

/// One accepted webhook, as it is journalled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Everything that is known about the body, without the body.
    pub envelope: Envelope,
    /// The body as it came. Signatures cover these bytes, so nothing ever rewrites them.
    pub body: Bytes,
}

/// The metadata of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// UUID that no other event has; the sender sees it as `visnyk-id`, destinations as `webhook-id`.
    pub id: Uuid,
    /// Time at which the whole request had been read, in milliseconds since the Unix epoch.
    pub received_at_ms: i64,
    /// The same moment by the spool's steady clock, in milliseconds; 0 if a version before 3 wrote the record.
    pub steady_ms: u64,
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

/// An event that is not stored yet, borrowed from its request.
#[derive(Clone, Debug)]
pub struct NewEvent<'a> {
    /// Id that the event gets: see [`Envelope::id`].
    pub id: Uuid,
    /// Time of receipt in milliseconds: see [`Envelope::received_at_ms`].
    pub received_at_ms: i64,
    /// Name of the source: see [`Envelope::source`].
    pub source: &'a str,
    /// Path and query as sent: see [`Envelope::target`].
    pub target: &'a str,
    /// Headers that are kept: see [`Envelope::headers`].
    pub headers: Vec<(&'a str, &'a [u8])>,
    /// Statements of the sender: see [`Envelope::attributes`].
    pub attributes: &'a Attributes,
    /// Body as it came: see [`Event::body`].
    pub body: &'a [u8],
}

/// Returns a new id for an event that was received at this time: a UUID of version 7 (RFC 9562, section 5.7). Its other
/// 74 bits are random, so that no two events have the same id, whatever the clock does.
pub fn new_id(received_at_ms: i64) -> Uuid {
    let millis = u64::try_from(received_at_ms).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid()
}

impl Attributes {
    /// Returns the key under which a repeat of an event from this source is recognized; `None` if its sender gave no id.
    pub fn key(&self, source: &str) -> Option<Key> {
        Some(Key::new(source, self.origin.as_deref(), self.id.as_deref()?))
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
    /// Written by a later version of Visnyk, with a flag that a reader must know.
    #[error(
        "event record has flags {0:#04x}, and this Visnyk does not know them all: start the version that wrote it, or a \
         later one"
    )]
    NewerFlags(u8),
    /// Written by a later version of Visnyk, with a section that a reader must know.
    #[error(
        "event record has a section of type {0}, which this Visnyk does not know: start the version that wrote it, or a \
         later one"
    )]
    NewerSection(u8),
    /// The bytes of a field are not such a field.
    #[error("event record has a {0} that cannot be read")]
    Malformed(&'static str),
    /// The envelope's bytes are not an envelope. Versions 1 and 2 have one.
    #[error("event envelope cannot be read")]
    Envelope(#[source] postcard::Error),
}

impl DecodeError {
    /// Returns whether another version of Visnyk can read it.
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::NewerVersion(_) | Self::NewerFlags(_) | Self::NewerSection(_))
    }
}

/// The first byte of every record. Raised when a section cannot say what changes. What was ever written is read for
/// ever: a new version adds a reader beside the earlier ones, and a folder to `fixtures/spool`.
const VERSION: u8 = 3;

impl<'a> Head<'a> {
    /// Reads the head of a record of any version, without the rest of it.
    pub fn read(record: &'a [u8]) -> Result<Self, DecodeError> {
        match version(record)? {
            VERSION => record::head(record).map(|(head, _)| head),
            _ => earlier::head(record),
        }
    }
}

impl NewEvent<'_> {
    /// Returns the number of bytes of its record.
    pub fn record_len(&self) -> usize {
        record::len(self)
    }

    /// Appends its record to `to`. The steady time is read as late as this, so that it grows with the sequence.
    ///
    /// # Panics
    /// With a source's name of 64 KiB or headers or a body of 4 GiB, which no manifest and no listener accepts.
    pub fn write_record(&self, steady_ms: u64, to: &mut Vec<u8>) {
        record::write(self, steady_ms, to);
    }
}

/// Returns the version of a record, if it is one that is read.
fn version(record: &[u8]) -> Result<u8, DecodeError> {
    match record.first() {
        None => Err(DecodeError::TooShort(0)),
        Some(0) => Err(DecodeError::UnknownVersion(0)),
        Some(version @ ..=VERSION) => Ok(*version),
        Some(newer) => Err(DecodeError::NewerVersion(*newer)),
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

    /// Returns the event as it is before it is stored.
    pub fn as_new(&self) -> NewEvent<'_> {
        let Envelope { id, received_at_ms, source, target, headers, attributes, .. } = &self.envelope;
        NewEvent {
            id: *id,
            received_at_ms: *received_at_ms,
            source,
            target,
            headers: headers.iter().map(|(name, value)| (&**name, &**value)).collect(),
            attributes,
            body: &self.body,
        }
    }

    /// Returns its record: the bytes to journal.
    ///
    /// # Panics
    /// See [`NewEvent::write_record`].
    pub fn encode(&self) -> Bytes {
        let event = self.as_new();
        let mut record = Vec::with_capacity(event.record_len());
        event.write_record(self.envelope.steady_ms, &mut record);
        record.into()
    }

    /// Reads a record of any version. The body shares the record's memory.
    pub fn decode(record: &Bytes) -> Result<Self, DecodeError> {
        match version(record)? {
            VERSION => record::read(record),
            earlier => earlier::read(record, earlier),
        }
    }
}

#[cfg(test)]
mod tests;
