//! The sum of promise 2 for one destination, at one moment.

use super::ledger::Ledger;
use super::{Accepted, DestinationId};

/// Lifecycle of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// Events are delivered to the destination.
    Active,
    /// The destination answered 410. Its events stay pending until its target changes.
    Disabled,
    /// The destination is not in the configuration any more. Its events stay pending until its retention ends.
    Removed {
        /// Time of the removal, in milliseconds since the Unix epoch.
        at_ms: i64,
    },
}

/// One destination's part of `/status`: `accepted` is the sum of the six others, at every moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationStatus {
    /// Id of the destination.
    pub id: DestinationId,
    /// Its name in the manifest.
    pub name: String,
    /// Events accepted since it was created.
    pub accepted: u64,
    /// Number of delivered events.
    pub delivered: u64,
    /// Number of dead letters.
    pub dead_lettered: u64,
    /// Number of events that a named rule or command dropped.
    pub dropped: u64,
    /// Number of events that the destination's `when` did not select.
    pub filtered: u64,
    /// Number of events that were on disk and cannot be read.
    pub damaged: u64,
    /// Events that still have to be delivered: counted in journal and waiting room.
    pub pending: u64,
    /// Number of pending events about which the rules have not decided.
    pub undecided: u64,
    /// Number of pending events that wait for another attempt.
    pub waiting: u64,
    /// Time at which the oldest pending event was received, in milliseconds since the Unix epoch. While that event is
    /// not read yet or cannot be read, it is the time of the one before it.
    pub oldest_pending_ms: Option<i64>,
    /// Lifecycle of the destination.
    pub lifecycle: Lifecycle,
}

impl DestinationStatus {
    /// Returns whether every accepted event is in exactly one term.
    pub fn adds_up(&self) -> bool {
        let finished = self.delivered + self.dead_lettered + self.dropped + self.filtered + self.damaged;
        self.accepted == finished + self.pending
    }
}

impl Ledger {
    /// Returns its part of `/status`.
    pub fn status(&self, journal: &dyn Accepted) -> DestinationStatus {
        let accepted = journal.accepted_through(journal.watermark());
        let unread = self.unread(journal);
        DestinationStatus {
            id: self.id,
            name: self.name.clone(),
            accepted: u64::try_from(accepted.cast_signed() - self.accepted_at_creation).unwrap_or(0),
            delivered: self.delivered,
            dead_lettered: self.dead.len(),
            dropped: self.dropped,
            filtered: self.filtered,
            damaged: self.damaged,
            pending: unread + self.waiting.len(),
            undecided: self.undecided(journal).min(unread),
            waiting: self.waiting.len(),
            oldest_pending_ms: self.oldest_pending_ms(unread),
            lifecycle: self.lifecycle,
        }
    }

    /// Returns the number of events in the journal that are not decided. None of them can be finished.
    fn undecided(&self, journal: &dyn Accepted) -> u64 {
        let decided = journal.decided_to().max(self.window.cursor()).min(journal.watermark());
        journal.accepted_through(journal.watermark()).saturating_sub(journal.accepted_through(decided))
    }

    /// Returns the number of events in the journal that still have to be delivered: those above the cursor, less the
    /// finished ones in the window.
    pub(super) fn unread(&self, journal: &dyn Accepted) -> u64 {
        let beyond_cursor = journal
            .accepted_through(journal.watermark())
            .saturating_sub(journal.accepted_through(self.window.cursor()));
        beyond_cursor.saturating_sub(self.window.events_above())
    }

    /// Returns the time at which the oldest pending event was received. Of one in the journal that was not begun, only
    /// a bound is known.
    fn oldest_pending_ms(&self, unread: u64) -> Option<i64> {
        let begun = self.begun.iter().find(|(seq, _)| self.window.needs(**seq)).map(|(_, at_ms)| *at_ms);
        // The first of them by its sequence: a look at each would take long, and every destination waits meanwhile.
        let waiting = self.waiting.iter().next().map(|(_, held)| held.received_at_ms);
        let unread = begun.or(self.reached_ms.filter(|_| unread > 0));
        unread.into_iter().chain(waiting).min()
    }
}
