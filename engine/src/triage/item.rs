//! An entry of the journal, decoded.

use std::sync::Arc;

use bytes::Bytes;
use tracing::error;

use super::decisions::Decided;
use crate::event::Event;
use crate::journal::{Entry, Seq};

/// An entry of the journal, decoded. A clone shares the memory of the event.
#[derive(Clone, Debug)]
pub enum Item {
    /// An event that was accepted.
    Event {
        /// Sequence of the event.
        seq: Seq,
        /// As it was journalled.
        record: Bytes,
        /// What the record says.
        event: Arc<Event>,
        /// What was decided about it.
        decided: Decided,
    },
    /// An event that only a later version of Visnyk can read.
    Newer {
        /// Sequence of the event.
        seq: Seq,
        /// Which version wrote it, and what to do.
        reason: Arc<str>,
    },
    /// Events that cannot be read.
    Damaged {
        /// The first sequence.
        first: Seq,
        /// The last sequence.
        last: Seq,
    },
    /// Sequences that are no events.
    Void {
        /// The first sequence.
        first: Seq,
        /// The last sequence.
        last: Seq,
    },
}

impl Item {
    /// Decodes an entry. A record that no version can read is damaged.
    pub fn decode(entry: Entry) -> Self {
        match entry {
            Entry::Damaged { first, last } => Self::Damaged { first, last },
            Entry::Void { first, last } => Self::Void { first, last },
            Entry::Record { seq, bytes } => match Event::decode(&bytes) {
                Ok(event) => {
                    Self::Event { seq, record: bytes, event: Arc::new(event), decided: Decided::Default }
                }
                Err(error) if error.is_newer() => Self::Newer { seq, reason: error.to_string().into() },
                Err(error) => {
                    error!(seq, %error, "journalled event cannot be read");
                    Self::Damaged { first: seq, last: seq }
                }
            },
        }
    }

    /// Returns the last sequence that it covers.
    pub fn last_seq(&self) -> Seq {
        match self {
            Self::Event { seq, .. } | Self::Newer { seq, .. } => *seq,
            Self::Damaged { last, .. } | Self::Void { last, .. } => *last,
        }
    }

    /// Bytes of its record.
    pub fn record_len(&self) -> usize {
        match self {
            Self::Event { record, .. } => record.len(),
            Self::Newer { .. } | Self::Damaged { .. } | Self::Void { .. } => 0,
        }
    }

    /// Bytes of memory that it takes: its record, and the envelope that was decoded from that.
    pub(super) fn memory(&self) -> usize {
        let decoded = match self {
            Self::Event { record, event, .. } => {
                let headers = event.envelope.headers.len() * size_of::<(String, Vec<u8>)>();
                size_of::<Event>() + headers + (record.len() - event.body.len())
            }
            Self::Newer { .. } | Self::Damaged { .. } | Self::Void { .. } => 0,
        };
        size_of::<Self>() + self.record_len() + decoded
    }
}
