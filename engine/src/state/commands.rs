//! The commands on a destination's events: redrive of dead letters, and discard.

use super::held::Postponed;
use super::ledger::{Ending, Ledger};
use super::window::Covered;
use super::{Accepted, Seq};

/// The events that a command selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select<'a> {
    /// Every dead letter of the destination.
    All,
    /// The dead letters with these sequences.
    Seqs(&'a [Seq]),
}

/// Result of a redrive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redriven {
    /// Events that are due now.
    pub seqs: Vec<Seq>,
    /// Dead letters that stay dead because the waiting room is full.
    pub no_room: usize,
}

impl Ledger {
    /// Brings dead letters back, due at once, with no attempt counted and the same record.
    pub fn redrive(&mut self, select: Select<'_>, now_ms: i64) -> Redriven {
        let mut redriven = Redriven::default();
        for seq in self.selected(select) {
            let Some(size) = self.dead.get(seq).map(|held| held.size) else { continue };
            if !self.can_wait(size) {
                redriven.no_room += 1;
            } else if let Some(mut held) = self.dead.remove(seq) {
                let last_error = held.note.clone();
                held.postpone(&Postponed { attempts: 0, due_at_ms: now_ms, delay_ms: 0, last_error });
                self.waiting.insert(seq, held);
                self.touch(seq);
                redriven.seqs.push(seq);
            }
        }
        redriven
    }

    /// Drops every pending event up to `through`, a sequence that later events exceed. Returns the number of dropped
    /// events.
    pub fn discard(&mut self, through: Seq, journal: &dyn Accepted) -> u64 {
        let through = through.min(journal.watermark());
        let before = self.dropped;
        for seq in self.waiting.seqs().into_iter().take_while(|seq| *seq <= through) {
            self.finish_waiting(seq, Ending::Dropped);
        }
        let unread = self.unread(journal);
        self.window.cover(self.window.cursor() + 1, through, Covered::Events);
        self.dropped += unread - self.unread(journal);
        self.begun = self.begun.split_off(&(through + 1));
        self.changed = true;
        self.dropped - before
    }

    /// Drops dead letters. Returns the number of dropped dead letters.
    pub fn discard_dead_letters(&mut self, select: Select<'_>) -> u64 {
        let before = self.dropped;
        for seq in self.selected(select) {
            if let Some(held) = self.dead.remove(seq) {
                self.count(Ending::Dropped);
                self.forget(seq, &held);
            }
        }
        self.dropped - before
    }

    fn selected(&self, select: Select<'_>) -> Vec<Seq> {
        match select {
            Select::All => self.dead.seqs(),
            Select::Seqs(seqs) => seqs.to_vec(),
        }
    }
}
