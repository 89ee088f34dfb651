//! Which of a destination's sequences are finished: everything up to the cursor, and some above it.
//! Long damaged or void ranges are one run each, so a million of them cost what one costs.

use std::collections::BTreeMap;

use super::Seq;

/// Maximum distance of a delivery above the cursor, in sequences that are deliverable. It bounds the memory that a
/// stuck event costs the window.
pub const WIDTH: u64 = 1024;

/// The reason for which sequences need no further delivery from the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covered {
    /// An event whose delivery ended, or that went to the waiting room.
    Finished,
    /// Events that were never begun: they cannot be read, or are known from elsewhere.
    Skipped,
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
    skipped: u64,
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

    /// Returns whether a delivery of `seq` may begin: at most [`WIDTH`] deliverable sequences above the cursor.
    pub fn admits(&self, seq: Seq) -> bool {
        let distance = seq.saturating_sub(self.cursor);
        // The runs are only walked when the plain distance is not answer enough.
        distance <= WIDTH || distance.saturating_sub(self.undeliverable_below(seq)) <= WIDTH
    }

    /// Finishes one sequence; false if it was finished before.
    pub fn finish(&mut self, seq: Seq) -> bool {
        if seq == self.cursor + 1 && self.above.is_empty() {
            self.cursor = seq;
            return true;
        }
        self.cover(seq, seq, Covered::Finished) == 1
    }

    /// Finishes `first..=last`; returns how many of them were not finished before.
    pub fn cover(&mut self, first: Seq, last: Seq, as_what: Covered) -> u64 {
        let first = first.max(self.cursor + 1);
        if last < first {
            return 0;
        }
        let mut merged = Run { last, voids: 0, skipped: 0 };
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
            merged.skipped += run.skipped;
        }
        let new = last - first + 1 - known;
        match as_what {
            Covered::Finished => {}
            Covered::Skipped => merged.skipped += new,
            Covered::Void => merged.voids += new,
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

    /// Encodes the runs above the cursor, as the state file keeps them.
    pub fn encode(&self) -> Vec<u8> {
        let mut end = self.cursor;
        let mut runs = Vec::with_capacity(self.above.len());
        for (&first, run) in &self.above {
            runs.push((first - end, run.last - first, run.voids, run.skipped));
            end = run.last;
        }
        // Into memory a list of integers always serialises; empty bytes are no window and would be noticed.
        postcard::to_stdvec(&runs).unwrap_or_default()
    }

    /// Reads what [`Window::encode`] wrote; `None` if no window could have written it.
    pub fn decode(cursor: Seq, bytes: &[u8]) -> Option<Self> {
        let mut window = Self::new(cursor);
        let mut end = cursor;
        for (gap, rest, voids, skipped) in postcard::from_bytes::<Vec<(u64, u64, u64, u64)>>(bytes).ok()? {
            let first = end.checked_add(gap).filter(|_| gap > 1)?;
            end = first.checked_add(rest)?;
            let undeliverable = voids.checked_add(skipped)?;
            if undeliverable.checked_sub(1).is_some_and(|most| most > rest) {
                return None;
            }
            window.above.insert(first, Run { last: end, voids, skipped });
        }
        Some(window)
    }

    fn undeliverable_below(&self, seq: Seq) -> u64 {
        self.above.range(..seq).map(|(_, run)| run.voids + run.skipped).sum()
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
            ranges in proptest::collection::vec((1u64..60, 0u64..9, 0usize..3), 0..40),
        ) {
            let mut window = Window::new(start);
            let mut finished: BTreeSet<Seq> = (1..=start).collect();
            let mut voids: BTreeSet<Seq> = BTreeSet::new();
            for (first, rest, kind) in ranges {
                let kind = [Covered::Finished, Covered::Skipped, Covered::Void][kind];
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
    fn at_most_1024_deliverable_sequences_begin_above_the_cursor() {
        let mut window = Window::new(10);
        assert!(window.admits(10 + WIDTH));
        assert!(!window.admits(11 + WIDTH));
        window.cover(12, 5_000_000, Covered::Void);
        window.cover(5_000_001, 6_000_000, Covered::Skipped);
        assert!(window.admits(6_000_000 + WIDTH - 1));
        assert!(!window.admits(6_000_000 + WIDTH));
    }

    #[test]
    fn ranges_of_millions_take_a_few_bytes() {
        let mut window = Window::new(0);
        window.cover(2, 9_000_000, Covered::Skipped);
        assert!(window.encode().len() < 20);
    }
}
