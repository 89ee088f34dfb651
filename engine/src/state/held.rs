//! Events that left the journal for the state file: those that wait for another attempt, and the dead.
//! Everything but their bytes stays in memory; the bytes only until the file has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Seq;
use super::batch::HeldRow;
use super::limits::RoomLimits;

/// An event's bytes as they were journalled, and when it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The encoded event: see `Event::encode`.
    pub bytes: Bytes,
    /// Time at which the event was received, in milliseconds since the Unix epoch.
    pub received_at_ms: i64,
}

/// The next attempt at a failed event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postponed {
    /// Attempts that count towards its schedule.
    pub attempts: u32,
    /// The next attempt, in milliseconds since the Unix epoch.
    pub due_at_ms: i64,
    /// The wait that was chosen, in milliseconds: no restart or clock makes it longer.
    pub delay_ms: u64,
    /// Failure of the last attempt, cut at [`NOTE_BYTES`].
    pub last_error: Arc<str>,
}

/// The end of an event that is not tried any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// Number of attempts made.
    pub attempts: u32,
    /// Time at which the event became a dead letter, in milliseconds since the Unix epoch.
    pub died_at_ms: i64,
    /// Failure of the last attempt, cut at [`NOTE_BYTES`].
    pub reason: Arc<str>,
}

/// Longest error or reason that is kept, in bytes.
pub const NOTE_BYTES: usize = 256;

/// Reason for which an event is in the state file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldKind {
    /// It waits for another attempt.
    Waiting,
    /// It is a dead letter, which waits for a redrive or a discard.
    Dead,
}

/// The place of an event's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventAt {
    /// The event's bytes, which are not committed yet.
    Memory(Bytes),
    /// The key of the event's row in the state file.
    Stored(StoredEvent),
}

/// The bytes that the state file must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Key of the row.
    pub row: i64,
    /// CRC-32C of the bytes.
    pub checksum: u32,
}

/// An event that waits for another attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingEvent {
    /// Its place in the journal.
    pub seq: Seq,
    /// Time at which it was received, in milliseconds since the Unix epoch.
    pub received_at_ms: i64,
    /// Its record's length in bytes.
    pub size: u64,
    /// Time and number of its next attempt.
    pub postponed: Postponed,
}

impl Postponed {
    /// Returns the wait that is left at `now_ms`: until it is due, but never longer than the wait once chosen, however
    /// the clock has changed since.
    pub fn remaining_ms(&self, now_ms: i64) -> u64 {
        Pause { until_ms: self.due_at_ms, for_ms: self.delay_ms }.remaining_ms(now_ms)
    }
}

/// Pause that a destination asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Its end, in milliseconds since the Unix epoch.
    pub until_ms: i64,
    /// Length of the pause that was asked for, in milliseconds.
    pub for_ms: u64,
}

impl Pause {
    /// Returns the part of it that is left at `now_ms`, and never more than all of it, however the clock has changed
    /// since.
    pub fn remaining_ms(&self, now_ms: i64) -> u64 {
        u64::try_from(self.until_ms.saturating_sub(now_ms)).unwrap_or(0).min(self.for_ms)
    }
}

/// An event that is tried no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its place in the journal.
    pub seq: Seq,
    /// Time at which it was received, in milliseconds since the Unix epoch.
    pub received_at_ms: i64,
    /// Its record's length in bytes.
    pub size: u64,
    /// Time and reason of its last failed attempt.
    pub death: Death,
}

/// One event in the state file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Key of its row; `None` until a batch contains it.
    pub row: Option<i64>,
    pub attempts: u32,
    /// Time at which it is due, or became a dead letter, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    pub delay_ms: u64,
    pub received_at_ms: i64,
    pub note: Arc<str>,
    pub size: u64,
    pub checksum: u32,
    /// The bytes, until a commit has stored them.
    pub unsaved: Option<Bytes>,
}

impl Held {
    pub fn new(record: Record) -> Self {
        Self {
            row: None,
            attempts: 0,
            at_ms: 0,
            delay_ms: 0,
            received_at_ms: record.received_at_ms,
            note: Arc::from(""),
            size: record.bytes.len() as u64,
            checksum: crc32c::crc32c(&record.bytes),
            unsaved: Some(record.bytes),
        }
    }

    pub fn from_row(row: HeldRow) -> Self {
        Self {
            row: Some(row.row),
            attempts: row.attempts,
            at_ms: row.at_ms,
            delay_ms: row.delay_ms,
            received_at_ms: row.received_at_ms,
            note: row.note,
            size: row.size,
            checksum: row.checksum,
            unsaved: row.record,
        }
    }

    pub fn postpone(&mut self, postponed: &Postponed) {
        self.attempts = postponed.attempts;
        self.at_ms = postponed.due_at_ms;
        self.delay_ms = postponed.delay_ms;
        self.note = cut(&postponed.last_error);
    }

    pub fn die(&mut self, death: &Death) {
        self.attempts = death.attempts;
        self.at_ms = death.died_at_ms;
        self.delay_ms = 0;
        self.note = cut(&death.reason);
    }

    pub fn event_at(&self) -> Option<EventAt> {
        match (&self.unsaved, self.row) {
            (Some(bytes), _) => Some(EventAt::Memory(bytes.clone())),
            (None, row) => Some(EventAt::Stored(StoredEvent { row: row?, checksum: self.checksum })),
        }
    }

    pub fn as_waiting(&self, seq: Seq) -> WaitingEvent {
        let postponed = Postponed {
            attempts: self.attempts,
            due_at_ms: self.at_ms,
            delay_ms: self.delay_ms,
            last_error: self.note.clone(),
        };
        WaitingEvent { seq, received_at_ms: self.received_at_ms, size: self.size, postponed }
    }

    pub fn as_dead_letter(&self, seq: Seq) -> DeadLetter {
        let death = Death { attempts: self.attempts, died_at_ms: self.at_ms, reason: self.note.clone() };
        DeadLetter { seq, received_at_ms: self.received_at_ms, size: self.size, death }
    }
}

/// The waiting room or the dead letters of one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Room {
    events: BTreeMap<Seq, Held>,
    bytes: u64,
}

impl Room {
    /// Returns whether there is room. An empty room takes any event, so that a large one never stops its destination
    /// for good.
    pub fn admits(&self, size: u64, limits: RoomLimits) -> bool {
        self.events.is_empty()
            || (self.len() < limits.events && self.bytes + RoomLimits::COST + size <= limits.bytes)
    }

    pub fn insert(&mut self, seq: Seq, held: Held) {
        self.bytes += RoomLimits::COST + held.size;
        self.events.insert(seq, held);
    }

    pub fn remove(&mut self, seq: Seq) -> Option<Held> {
        let held = self.events.remove(&seq)?;
        self.bytes -= RoomLimits::COST + held.size;
        Some(held)
    }

    pub fn get(&self, seq: Seq) -> Option<&Held> {
        self.events.get(&seq)
    }

    pub fn get_mut(&mut self, seq: Seq) -> Option<&mut Held> {
        self.events.get_mut(&seq)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Seq, &Held)> {
        self.events.iter().map(|(seq, held)| (*seq, held))
    }

    pub fn seqs(&self) -> Vec<Seq> {
        self.events.keys().copied().collect()
    }

    pub fn len(&self) -> u64 {
        self.events.len() as u64
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Returns at most [`NOTE_BYTES`] of a note, without cutting a character.
fn cut(note: &Arc<str>) -> Arc<str> {
    if note.len() <= NOTE_BYTES {
        return note.clone();
    }
    Arc::from(&note[..note.floor_char_boundary(NOTE_BYTES)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_after_a_restart_is_never_longer_than_the_wait_once_chosen() {
        let postponed = Postponed { attempts: 1, due_at_ms: 10_000, delay_ms: 5_000, last_error: "".into() };
        let cases = [
            ("as planned", 7_000, 3_000),
            ("overdue", 12_000, 0),
            ("clock set back an hour", -3_600_000, 5_000),
            ("clock set back to the beginning of time", i64::MIN, 5_000),
        ];
        for (case, now_ms, wait_ms) in cases {
            assert_eq!(postponed.remaining_ms(now_ms), wait_ms, "{case}");
        }
    }

    #[test]
    fn note_is_cut_between_characters() {
        assert_eq!(cut(&"ї".repeat(200).into()).as_ref(), "ї".repeat(128));
        assert_eq!(cut(&format!("a{}", "ї".repeat(200)).into()).len(), 255);
        assert_eq!(cut(&"short".into()).as_ref(), "short");
    }
}
