//! The rows that one transaction writes. Rows are whole: writing one twice, or a later one instead, is harmless.

use std::sync::Arc;

use bytes::Bytes;

use super::held::{HeldKind, Pause};
use super::seen::SeenBatch;
use super::status::Lifecycle;
use super::{DestinationId, Seq};

/// Changes that belong in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Keys of events that are no longer held.
    pub gone: Vec<i64>,
    /// Destinations whose retention ended. `destinations` has no row of them.
    pub expired: Vec<DestinationId>,
    /// Rows of all destinations. The table is small, and is written whole.
    pub destinations: Vec<DestinationRow>,
    /// Events that are newly held, or whose state changed.
    pub held: Vec<HeldRow>,
    /// Ids of events that deduplicating sources accepted.
    pub seen: SeenBatch,
    /// The highest sequence that the journal was known to have synced: if it is ever gone, it was lost.
    pub watermark: Seq,
    /// Time of the spool's steady clock, in milliseconds. It goes on above this at the next start.
    pub steady_ms: u64,
}

/// The row of a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationRow {
    /// Id of the destination.
    pub id: DestinationId,
    /// Its name in the manifest.
    pub name: String,
    /// Hash of the target, which tells one target from another.
    pub fingerprint: String,
    /// Events the journal had accepted when it was created. Negative only after the journal was lost
    /// and counts anew.
    pub accepted_at_creation: i64,
    /// The sequence up to which every event is finished.
    pub cursor: Seq,
    /// The finished sequences above the cursor, encoded.
    pub window: Vec<u8>,
    /// Number of delivered events.
    pub delivered: u64,
    /// Number of events that a named rule or command dropped.
    pub dropped: u64,
    /// Number of events that the destination's `when` did not select.
    pub filtered: u64,
    /// Number of events that were on disk and cannot be read.
    pub damaged: u64,
    /// Number of rows of its waiting room. Fewer rows in the file mean damage.
    pub waiting: u64,
    /// Number of its dead letters.
    pub dead_lettered: u64,
    /// Lifecycle of the destination.
    pub lifecycle: Lifecycle,
    /// Pause that it asked for.
    pub pause: Option<Pause>,
    /// Time for which it has been removed while a process ran, in milliseconds.
    pub removed_for_ms: u64,
}

/// One event that waits or is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRow {
    /// Key of the row.
    pub row: i64,
    /// Id of its destination.
    pub destination: DestinationId,
    /// Its place in the journal.
    pub seq: Seq,
    /// Reason for which it is held.
    pub kind: HeldKind,
    /// Attempts that count towards its schedule.
    pub attempts: u32,
    /// Time at which it is due, or died, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The chosen wait before the next attempt, in milliseconds.
    pub delay_ms: u64,
    /// Time at which it was received, in milliseconds since the Unix epoch.
    pub received_at_ms: i64,
    /// The last error, or the reason for which it is a dead letter.
    pub note: Arc<str>,
    /// Its record's length in bytes.
    pub size: u64,
    /// CRC-32C of its record.
    pub checksum: u32,
    /// Its record, if the file does not have it yet.
    pub record: Option<Bytes>,
}
