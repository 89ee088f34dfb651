//! Which of a destination's sequences are finished: everything up to the cursor, and some above it.
//! Long damaged or void ranges are one run each, so a million of them cost what one costs.

use std::collections::BTreeMap;

use super::Seq;

/// Maximum number of runs above the cursor. Each unfinished event can end one, so that it bounds the memory and the row that
/// stuck events cost, and not how far the events behind them get.
pub const MAX_RUNS: usize = 4096;

/// The content of sequences that need no further delivery from the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covered {
    /// Events whose delivery ended, that went to the waiting room, or that cannot be read.
    Events,
    /// Not events: sequences that were never acknowledged.
    Void,
}

/// The finished sequences of one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    cursor: Seq,
    /// Runs by first sequence. They touch neither each other nor the cursor.
    above: BTreeMap<Seq, Run>,
}

/// Finished sequences without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    last: Seq,
    voids: u64,
}

impl Window {
    /// Makes a window in which everything up to `cursor` is finished, and nothing above it.
    pub fn new(cursor: Seq) -> Self {
        Self { cursor, above: BTreeMap::new() }
    }

    /// Returns the highest sequence below which nothing is unfinished.
    pub fn cursor(&self) -> Seq {
        self.cursor
    }

    /// Returns the highest finished sequence.
    pub fn last(&self) -> Seq {
        self.above.last_key_value().map_or(self.cursor, |(_, run)| run.last)
    }

    /// Returns whether `seq` still has to be delivered from the journal.
    pub fn needs(&self, seq: Seq) -> bool {
        seq > self.cursor && self.above.range(..=seq).next_back().is_none_or(|(_, run)| run.last < seq)
    }

    /// Returns whether a delivery of `seq` may begin beside `begun` others: however they end, there are at most
    /// [`MAX_RUNS`] runs. The oldest unfinished event may always begin, since its end makes no run.
    pub fn admits(&self, seq: Seq, begun: usize) -> bool {
        self.above.len() + begun < MAX_RUNS || seq == self.cursor + 1
    }

    /// Finishes one sequence; false if it was finished before.
    pub fn finish(&mut self, seq: Seq) -> bool {
        if seq == self.cursor + 1 && self.above.is_empty() {
            self.cursor = seq;
            return true;
        }
        self.cover(seq, seq, Covered::Events) == 1
    }

    /// Finishes `first..=last`; returns how many of them were not finished before.
    pub fn cover(&mut self, first: Seq, last: Seq, as_what: Covered) -> u64 {
        let first = first.max(self.cursor + 1);
        if last < first {
            return 0;
        }
        let mut merged = Run { last, voids: 0 };
        let mut begin = first;
        let mut known = 0;
        // From the last run that could touch the range down to the first that does.
        while let Some((&at, &run)) = self.above.range(..=last.saturating_add(1)).next_back() {
            if run.last < first - 1 {
                break;
            }
            self.above.remove(&at);
            known += overlap((at, run.last), (first, last));
            begin = begin.min(at);
            merged.last = merged.last.max(run.last);
            merged.voids += run.voids;
        }
        let new = last - first + 1 - known;
        if as_what == Covered::Void {
            merged.voids += new;
        }
        if begin == self.cursor + 1 {
            self.cursor = merged.last;
        } else {
            self.above.insert(begin, merged);
        }
        new
    }

    /// Events above the cursor that are finished; voids are not events.
    pub fn events_above(&self) -> u64 {
        self.above.iter().map(|(first, run)| run.last - first + 1 - run.voids).sum()
    }

    /// Encodes the runs above the cursor, as the state file keeps them: for each the distance from the end of the one
    /// before it, its length less one, its voids, and a zero. (Before runs were what is limited, that number let some of
    /// the events not count.)
    pub fn encode(&self) -> Vec<u8> {
        let mut end = self.cursor;
        let mut runs = Vec::with_capacity(self.above.len());
        for (&first, run) in &self.above {
            runs.push((first - end, run.last - first, run.voids, 0_u64));
            end = run.last;
        }
        // Into memory a list of integers always serialises; empty bytes are no window and would be noticed.
        postcard::to_stdvec(&runs).unwrap_or_default()
    }

    /// Reads what [`Window::encode`] wrote; `None` if no window could have written it.
    pub fn decode(cursor: Seq, bytes: &[u8]) -> Option<Self> {
        let mut window = Self::new(cursor);
        let mut end = cursor;
        for (gap, rest, voids, _) in postcard::from_bytes::<Vec<(u64, u64, u64, u64)>>(bytes).ok()? {
            let first = end.checked_add(gap).filter(|_| gap > 1)?;
            end = first.checked_add(rest)?;
            if voids.checked_sub(1).is_some_and(|most| most > rest) {
                return None;
            }
            window.above.insert(first, Run { last: end, voids });
        }
        Some(window)
    }
}

/// Returns the number of sequences that two ranges share.
fn overlap(a: (Seq, Seq), b: (Seq, Seq)) -> u64 {
    (a.1.min(b.1) + 1).saturating_sub(a.0.max(b.0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn window_knows_what_a_set_of_finished_sequences_knows(
            start in 0u64..5,
            ranges in proptest::collection::vec((1u64..60, 0u64..9, 0usize..2), 0..40),
        ) {
            let mut window = Window::new(start);
            let mut finished: BTreeSet<Seq> = (1..=start).collect();
            let mut voids: BTreeSet<Seq> = BTreeSet::new();
            for (first, rest, kind) in ranges {
                let kind = [Covered::Events, Covered::Void][kind];
                let fresh: Vec<Seq> = (first..=first + rest).filter(|seq| !finished.contains(seq)).collect();
                prop_assert_eq!(window.cover(first, first + rest, kind), fresh.len() as u64);
                if kind == Covered::Void {
                    voids.extend(&fresh);
                }
                finished.extend(fresh);

                let cursor = (1..100).find(|seq| !finished.contains(seq)).unwrap() - 1;
                prop_assert_eq!(window.cursor(), cursor);
                let above = finished.range(cursor + 1..).filter(|seq| !voids.contains(*seq)).count();
                prop_assert_eq!(window.events_above(), above as u64);
                prop_assert_eq!(window.last(), finished.last().copied().unwrap_or(0));
                for seq in 1..80 {
                    prop_assert_eq!(window.needs(seq), !finished.contains(&seq), "sequence {}", seq);
                }
                prop_assert_eq!(Window::decode(cursor, &window.encode()), Some(window.clone()));
            }
        }

        #[test]
        fn no_bytes_make_decode_panic(cursor in any::<u64>(), bytes in any::<Vec<u8>>()) {
            let _ = Window::decode(cursor, &bytes);
        }
    }

    #[test]
    fn at_most_4096_runs_stand_above_the_cursor_and_the_oldest_event_begins() {
        let mut window = Window::new(10);
        let mut finish_every_other = |begun| {
            let mut seq = window.last() + 2;
            while window.admits(seq, begun) {
                assert!(window.finish(seq));
                seq += 2;
            }
            window.above.len() + begun
        };
        // Each that has begun may end one more.
        assert_eq!(finish_every_other(1000), MAX_RUNS);
        assert_eq!(finish_every_other(0), MAX_RUNS);
        assert!(!window.admits(12, 0) && window.admits(11, 5_000));
        let encoded = window.encode();
        assert!(encoded.len() < 5 * MAX_RUNS, "{}", encoded.len());
        assert!(window.finish(11));
        assert!(window.admits(u64::MAX, 0), "a run went into the cursor");
    }

    #[test]
    fn window_that_counted_what_it_skipped_is_read_as_it_was() {
        let bytes = postcard::to_stdvec(&vec![(2_u64, 8_u64, 0_u64, 5_u64), (3, 0, 1, 0)]).unwrap();
        let window = Window::decode(10, &bytes).unwrap();
        assert_eq!((window.last(), window.events_above()), (23, 9));
        assert!(window.needs(11) && !window.needs(12) && window.needs(22));
    }

    #[test]
    fn ranges_of_millions_take_a_few_bytes() {
        let mut window = Window::new(0);
        window.cover(2, 9_000_000, Covered::Events);
        assert!(window.encode().len() < 20);
    }
}
