//! When which waiting event may be tried again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use crate::journal::Seq;

/// Waiting events in the order they fall due; ties in the order they were accepted.
#[derive(Debug, Default)]
pub(super) struct DueQueue {
    by_due: BTreeSet<(Instant, Seq)>,
    by_seq: BTreeMap<Seq, Due>,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    at: Instant,
    /// Set if the destination asked for the time with `Retry-After`.
    is_asked: bool,
}

impl DueQueue {
    pub fn insert(&mut self, due: Instant, seq: Seq) {
        self.set(seq, Due { at: due, is_asked: false });
    }

    /// Inserts an event for which the destination has set the earliest time.
    pub fn insert_asked(&mut self, due: Instant, seq: Seq) {
        self.set(seq, Due { at: due, is_asked: true });
    }

    /// Returns the moment at which the next event falls due.
    pub fn next_due(&self) -> Option<Instant> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// Takes the event that has been due longest at `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<Seq> {
        let (_, seq) = *self.by_due.first().filter(|(due, _)| *due <= now)?;
        self.remove(seq);
        Some(seq)
    }

    /// Returns the event that was accepted first.
    pub fn oldest(&self) -> Option<Seq> {
        self.by_seq.keys().next().copied()
    }

    pub fn seqs(&self) -> impl Iterator<Item = Seq> {
        self.by_seq.keys().copied()
    }

    /// Returns the events in the order in which they fall due, without those for which the destination has set the
    /// earliest time.
    pub fn in_order(&self) -> VecDeque<Seq> {
        let seqs = self.by_due.iter().map(|(_, seq)| *seq);
        seqs.filter(|seq| self.by_seq.get(seq).is_some_and(|due| !due.is_asked)).collect()
    }

    /// Takes back an event wherever it stands, with the moment it was due.
    pub fn remove(&mut self, seq: Seq) -> Option<Instant> {
        let Due { at, .. } = self.by_seq.remove(&seq)?;
        self.by_due.remove(&(at, seq));
        Some(at)
    }

    pub fn clear(&mut self) {
        self.by_due.clear();
        self.by_seq.clear();
    }

    fn set(&mut self, seq: Seq, due: Due) {
        self.remove(seq);
        self.by_due.insert((due.at, seq));
        self.by_seq.insert(seq, due);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn events_come_back_when_due_and_not_before() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut queue = DueQueue::default();
        for (due, seq) in [(5, 1), (2, 3), (2, 2), (9, 4)] {
            queue.insert(at(due), seq);
        }
        assert_eq!(queue.oldest(), Some(1));
        assert_eq!(queue.remove(4), Some(at(9)));
        assert_eq!(queue.remove(4), None);
        queue.insert_asked(at(3), 5);
        assert_eq!(queue.in_order(), [2, 3, 1]);
        queue.remove(5);

        assert_eq!(queue.pop_due(at(1)), None);
        assert_eq!(queue.next_due(), Some(at(2)));
        assert_eq!(
            [queue.pop_due(at(5)), queue.pop_due(at(5)), queue.pop_due(at(5))],
            [Some(2), Some(3), Some(1)]
        );
        assert_eq!((queue.pop_due(at(99)), queue.next_due()), (None, None));
    }
}
