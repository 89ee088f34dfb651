//! When which waiting event may be tried again.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::journal::Seq;

/// Waiting events in the order they fall due; ties in the order they were accepted.
#[derive(Debug, Default)]
pub(super) struct DueQueue {
    by_due: BTreeSet<(Instant, Seq)>,
}

impl DueQueue {
    pub fn insert(&mut self, due: Instant, seq: Seq) {
        self.by_due.insert((due, seq));
    }

    /// When the next one falls due.
    pub fn next_due(&self) -> Option<Instant> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// Takes the event that has been due longest at `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<Seq> {
        let first = *self.by_due.first().filter(|(due, _)| *due <= now)?;
        self.by_due.remove(&first);
        Some(first.1)
    }

    /// The event that was accepted first.
    pub fn oldest(&self) -> Option<Seq> {
        self.seqs().min()
    }

    pub fn seqs(&self) -> impl Iterator<Item = Seq> {
        self.by_due.iter().map(|(_, seq)| *seq)
    }

    /// Takes back an event wherever it stands; used when a named rule drops it.
    pub fn remove(&mut self, seq: Seq) {
        self.by_due.retain(|(_, waiting)| *waiting != seq);
    }

    pub fn clear(&mut self) {
        self.by_due.clear();
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
        queue.remove(4);

        assert_eq!(queue.pop_due(at(1)), None);
        assert_eq!(queue.next_due(), Some(at(2)));
        assert_eq!(
            [queue.pop_due(at(5)), queue.pop_due(at(5)), queue.pop_due(at(5))],
            [Some(2), Some(3), Some(1)]
        );
        assert_eq!((queue.pop_due(at(99)), queue.next_due()), (None, None));
    }
}
