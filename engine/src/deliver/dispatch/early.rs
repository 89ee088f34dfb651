//! Attempts at waiting events before their time. When a destination is back after an outage, what waits is tried at
//! once instead of when its schedule says: one event first, and with each one that is delivered twice as many at a
//! time. An early attempt that fails costs its event nothing: it waits on as if there had been none.

use std::collections::VecDeque;
use std::time::Instant;

use super::due::DueQueue;
use crate::journal::Seq;

/// The waiting events that may be tried before their time.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// Set while the destination fails as a whole: since its last outage it has accepted nothing.
    is_away: bool,
    queue: VecDeque<Seq>,
    /// Maximum number of early attempts in flight.
    allowed: usize,
    under_way: usize,
}

impl Early {
    /// Records that the destination fails as a whole, or is another one from now on.
    pub fn away(&mut self) {
        self.is_away = true;
        self.queue.clear();
    }

    /// Records that an event was delivered, `early` or in its time. The waiting events may then be tried if the
    /// destination was away.
    pub fn delivered(&mut self, early: bool, due: &DueQueue, concurrency: usize) {
        if std::mem::take(&mut self.is_away) {
            self.queue = due.in_order();
            self.allowed = 1;
        } else if early {
            self.allowed = self.allowed.saturating_mul(2).min(concurrency);
        }
    }

    /// Records that an early attempt failed.
    pub fn failed(&mut self) {
        self.allowed = 1;
    }

    /// Records that an early attempt ended, with any outcome.
    pub fn ended(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Forgets the waiting events.
    pub fn clear(&mut self) {
        self.queue.clear();
    }

    /// Takes an event out of those that wait, with the moment it would have been due. `probes`: the destination is
    /// away, and only such an attempt can find out whether it is back.
    pub fn next(&mut self, due: &mut DueQueue, probes: bool) -> Option<(Seq, Instant)> {
        if self.is_away {
            if !probes || self.under_way > 0 {
                return None;
            }
            if self.queue.is_empty() {
                self.queue = due.in_order();
            }
        } else if self.under_way >= self.allowed {
            return None;
        }
        while let Some(seq) = self.queue.pop_front() {
            // Whatever fell due meanwhile was tried in its time, or was dropped.
            if let Some(due_at) = due.remove(seq) {
                self.under_way += 1;
                return Some((seq, due_at));
            }
        }
        None
    }
}
