//! One destination's ledger: which of its events is in which term of the sum.
//!
//! An event is pending until it goes to exactly one other term. A result that comes for an event that
//! is pending no more changes nothing and says so: that happens rightly when a discard or a bounded
//! backlog overtakes an attempt in flight, and makes counting an event twice impossible.

use std::collections::{BTreeMap, BTreeSet};

use super::batch::DestinationRow;
use super::held::{DeadLetter, Death, EventAt, Held, Pause, Postponed, Record, Room, WaitingEvent};
use super::limits::RoomLimits;
use super::status::Lifecycle;
use super::window::{Covered, Window};
use super::{DestinationId, Seq};

/// Interval at which the age of a removed destination is stored. A restart loses less than that.
const KEPT_EVERY_MS: u64 = 600_000;

/// The end of an event's delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The destination accepted the event.
    Delivered,
    /// A named rule or command dropped the event.
    Dropped,
    /// The `when` of the destination did not select the event.
    Filtered,
    /// The event's bytes cannot be read.
    Damaged,
}

/// The answer to a delivery from the journal that is about to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The delivery may begin.
    Yes,
    /// The event's delivery ended before. Continue with the next event.
    AlreadyFinished,
    /// The delivery must wait: there would be too many runs of finished events above the oldest unfinished one.
    WindowFull,
}

/// The waiting room, or the room of the dead letters, is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the destination's share of the state file is used up")]
pub struct RoomFull;

/// The ledger of one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    pub(super) id: DestinationId,
    pub(super) name: String,
    pub(super) fingerprint: String,
    pub(super) lifecycle: Lifecycle,
    pub(super) accepted_at_creation: i64,
    pub(super) window: Window,
    pub(super) delivered: u64,
    pub(super) dropped: u64,
    pub(super) filtered: u64,
    pub(super) damaged: u64,
    pub(super) waiting: Room,
    pub(super) dead: Room,
    pub(super) limits: RoomLimits,
    pub(super) pause: Option<Pause>,
    /// Time for which a removed destination has been removed while a process ran, in milliseconds.
    pub(super) removed_for_ms: u64,
    /// Times at which the events in flight were received, by sequence.
    pub(super) begun: BTreeMap<Seq, i64>,
    /// Time at which the newest event that was begun was received, or since which this is known: later events in the
    /// journal are no older, even if they cannot be read.
    pub(super) reached_ms: Option<i64>,
    /// Set while its row has changes that are in no batch.
    pub(super) changed: bool,
    /// Held events whose row changed since.
    pub(super) changed_held: BTreeSet<Seq>,
    /// Keys of events that are no longer held.
    pub(super) gone: Vec<i64>,
    /// The cursor that the state file has.
    pub(super) committed_cursor: Seq,
}

impl Ledger {
    /// Returns the destination's id.
    pub fn id(&self) -> DestinationId {
        self.id
    }

    /// Returns its name in the manifest.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the lifecycle of the destination.
    pub fn lifecycle(&self) -> Lifecycle {
        self.lifecycle
    }

    /// Returns the pause that it last asked for.
    pub fn pause(&self) -> Option<Pause> {
        self.pause
    }

    /// Sets the pause that it asks for; `None`: it may be tried.
    pub fn set_pause(&mut self, pause: Option<Pause>) {
        self.changed |= self.pause != pause;
        self.pause = pause;
    }

    /// Returns the sequence after which its reader starts.
    pub fn read_from(&self) -> Seq {
        self.window.cursor()
    }

    /// Asks to deliver an event from the journal. Without a later result it stays pending, and may begin
    /// again. Call it for the next event even while nothing can be sent: it tells how old that one is.
    pub fn begin(&mut self, seq: Seq, received_at_ms: i64) -> Admission {
        if !self.window.needs(seq) {
            return Admission::AlreadyFinished;
        }
        if !self.window.admits(seq, self.begun.len()) {
            return Admission::WindowFull;
        }
        self.reached_ms = self.reached_ms.max(Some(received_at_ms));
        self.begun.insert(seq, received_at_ms);
        Admission::Yes
    }

    /// Returns whether an event of the journal may end now: see [`Admission::WindowFull`].
    pub fn admits(&self, seq: Seq) -> bool {
        self.window.admits(seq, self.begun.len())
    }

    /// Returns whether an event of the journal still has to be delivered.
    pub fn needs(&self, seq: Seq) -> bool {
        self.window.needs(seq)
    }

    /// Ends the delivery of an event from the journal; false if it had ended before.
    pub fn finish_fresh(&mut self, seq: Seq, ending: Ending) -> bool {
        let pending = self.leave_journal(seq);
        if pending {
            self.count(ending);
        }
        pending
    }

    /// Ends the deliveries of events from the journal in the same way.
    pub fn finish_all_fresh(&mut self, seqs: &[Seq], ending: Ending) {
        for seq in seqs {
            self.finish_fresh(*seq, ending);
        }
    }

    /// Counts what the journal cannot read any more, as far as it was still needed; returns how many.
    pub fn damaged(&mut self, first: Seq, last: Seq) -> u64 {
        let count = self.window.cover(first, last, Covered::Events);
        self.damaged += count;
        self.changed |= count > 0;
        count
    }

    /// Passes over sequences that are no events.
    pub fn void(&mut self, first: Seq, last: Seq) {
        self.changed |= self.window.cover(first, last, Covered::Void) > 0;
    }

    /// Moves an event from the journal to the waiting room; `Ok(false)` if its delivery had ended before.
    pub fn postpone_fresh(
        &mut self,
        seq: Seq,
        record: Record,
        postponed: &Postponed,
    ) -> Result<bool, RoomFull> {
        if !self.window.needs(seq) {
            return Ok(false);
        }
        self.can_wait(record.bytes.len() as u64).then_some(()).ok_or(RoomFull)?;
        self.leave_journal(seq);
        let mut held = Held::new(record);
        held.postpone(postponed);
        self.waiting.insert(seq, held);
        self.changed_held.insert(seq);
        Ok(true)
    }

    /// Gives up an event from the journal; `Ok(false)` if its delivery had ended before.
    pub fn dead_letter_fresh(&mut self, seq: Seq, record: Record, death: &Death) -> Result<bool, RoomFull> {
        if !self.window.needs(seq) {
            return Ok(false);
        }
        self.can_dead_letter(record.bytes.len() as u64).then_some(()).ok_or(RoomFull)?;
        self.leave_journal(seq);
        let mut held = Held::new(record);
        held.die(death);
        self.dead.insert(seq, held);
        self.changed_held.insert(seq);
        Ok(true)
    }

    /// Ends the delivery of a waiting event; false if it had ended before.
    pub fn finish_waiting(&mut self, seq: Seq, ending: Ending) -> bool {
        let Some(held) = self.waiting.remove(seq) else { return false };
        self.count(ending);
        self.forget(seq, &held);
        true
    }

    /// Postpones a waiting event again. Returns `false` if its delivery had ended before.
    pub fn postpone_waiting(&mut self, seq: Seq, postponed: &Postponed) -> bool {
        let Some(held) = self.waiting.get_mut(seq) else { return false };
        held.postpone(postponed);
        self.touch(seq);
        true
    }

    /// Gives up a waiting event; `Ok(false)` if its delivery had ended before.
    pub fn dead_letter_waiting(&mut self, seq: Seq, death: &Death) -> Result<bool, RoomFull> {
        let Some(size) = self.waiting.get(seq).map(|held| held.size) else { return Ok(false) };
        self.can_dead_letter(size).then_some(()).ok_or(RoomFull)?;
        if let Some(mut held) = self.waiting.remove(seq) {
            held.die(death);
            self.dead.insert(seq, held);
            self.touch(seq);
        }
        Ok(true)
    }

    /// Counts a dead letter whose bytes cannot be read; false if there is no such dead letter.
    pub fn damaged_dead_letter(&mut self, seq: Seq) -> bool {
        let Some(held) = self.dead.remove(seq) else { return false };
        self.count(Ending::Damaged);
        self.forget(seq, &held);
        true
    }

    /// Stops delivering, as the destination said it is gone for good; its events stay pending.
    pub fn disable(&mut self) {
        if self.lifecycle == Lifecycle::Active {
            self.lifecycle = Lifecycle::Disabled;
            self.changed = true;
        }
    }

    /// Returns whether the waiting room has room for an event of `size` bytes.
    pub fn can_wait(&self, size: u64) -> bool {
        self.waiting.admits(size, self.limits)
    }

    /// Returns whether there is room for a dead letter of `size` bytes. Without room, the event stays where it is and
    /// is tried again.
    pub fn can_dead_letter(&self, size: u64) -> bool {
        self.dead.admits(size, self.limits)
    }

    /// Returns the waiting room, oldest event first.
    pub fn waiting(&self) -> impl Iterator<Item = WaitingEvent> {
        self.waiting.iter().map(|(seq, held)| held.as_waiting(seq))
    }

    /// Returns one event of the waiting room.
    pub fn waiting_event(&self, seq: Seq) -> Option<WaitingEvent> {
        self.waiting.get(seq).map(|held| held.as_waiting(seq))
    }

    /// Returns the number of bytes in the waiting room.
    pub fn waiting_bytes(&self) -> u64 {
        self.waiting.bytes()
    }

    /// Returns the dead letters, oldest event first.
    pub fn dead_letters(&self) -> impl Iterator<Item = DeadLetter> {
        self.dead.iter().map(|(seq, held)| held.as_dead_letter(seq))
    }

    /// Returns the place of the bytes of a waiting event or a dead letter; `None` if it is neither.
    pub fn event(&self, seq: Seq) -> Option<EventAt> {
        self.waiting.get(seq).or_else(|| self.dead.get(seq))?.event_at()
    }

    pub(super) fn to_row(&self) -> DestinationRow {
        DestinationRow {
            id: self.id,
            name: self.name.clone(),
            fingerprint: self.fingerprint.clone(),
            accepted_at_creation: self.accepted_at_creation,
            cursor: self.window.cursor(),
            window: self.window.encode(),
            delivered: self.delivered,
            dropped: self.dropped,
            filtered: self.filtered,
            damaged: self.damaged,
            waiting: self.waiting.len(),
            dead_lettered: self.dead.len(),
            lifecycle: self.lifecycle,
            pause: self.pause,
            removed_for_ms: self.removed_for_ms,
        }
    }

    /// Adds `elapsed_ms` to the time since the removal of a removed destination. The file has it later.
    pub(super) fn grow_older(&mut self, elapsed_ms: u64) {
        if matches!(self.lifecycle, Lifecycle::Removed { .. }) {
            let before = self.removed_for_ms;
            self.removed_for_ms = before.saturating_add(elapsed_ms);
            self.changed |= before / KEPT_EVERY_MS != self.removed_for_ms / KEPT_EVERY_MS;
        }
    }

    fn leave_journal(&mut self, seq: Seq) -> bool {
        self.begun.remove(&seq);
        let pending = self.window.needs(seq) && self.window.finish(seq);
        self.changed |= pending;
        pending
    }

    pub(super) fn count(&mut self, ending: Ending) {
        match ending {
            Ending::Delivered => self.delivered += 1,
            Ending::Dropped => self.dropped += 1,
            Ending::Filtered => self.filtered += 1,
            Ending::Damaged => self.damaged += 1,
        }
    }

    pub(super) fn touch(&mut self, seq: Seq) {
        self.changed = true;
        self.changed_held.insert(seq);
    }

    pub(super) fn forget(&mut self, seq: Seq, held: &Held) {
        self.changed = true;
        self.changed_held.remove(&seq);
        self.gone.extend(held.row);
    }
}
