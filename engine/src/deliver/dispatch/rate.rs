//! The rate limit: when the next attempt may begin. Pure; the dispatcher brings the time.
//!
//! Exact over a sliding span (a token bucket would let twice the limit through in one span), with
//! bounded memory: starts are counted in slices of the span, and a slice is forgotten only when the
//! last of them has left the span.

use std::{collections::VecDeque, time::Instant};

use visnyk_crds::valid::RateLimit;

/// The cost of bounded memory: a destination may get up to this fraction less than its limit.
const SLICES: u32 = 256;

/// A rate limit: see the module.
#[derive(Clone, Debug)]
pub struct Rate {
    limit: RateLimit,
    /// Slices of the window, oldest first.
    slices: VecDeque<Slice>,
    counted: u32,
}

/// Attempts that began within a small part of the span.
#[derive(Clone, Copy, Debug)]
struct Slice {
    first: Instant,
    last: Instant,
    starts: u32,
}

impl Rate {
    /// Makes a limit under which nothing has begun yet.
    pub fn new(limit: RateLimit) -> Self {
        Self { limit, slices: VecDeque::new(), counted: 0 }
    }

    /// Returns the limit with other settings. Attempts that began under the old ones count.
    #[must_use]
    pub fn changed_to(self, limit: RateLimit) -> Self {
        Self { limit, ..self }
    }

    /// Returns the moment at which the next attempt may begin; now or earlier means at once.
    pub fn ready_at(&mut self, now: Instant) -> Instant {
        while let Some(slice) = self.slices.front().copied()
            && slice.last + self.limit.per <= now
        {
            self.slices.pop_front();
            self.counted -= slice.starts;
        }
        match self.slices.front() {
            Some(slice) if self.counted >= self.limit.events => slice.last + self.limit.per,
            _ => now,
        }
    }

    /// Records that an attempt begins now.
    pub fn begin(&mut self, now: Instant) {
        self.counted = self.counted.saturating_add(1);
        match self.slices.back_mut() {
            Some(slice) if now < slice.first + self.limit.per / SLICES => {
                slice.last = now;
                slice.starts = slice.starts.saturating_add(1);
            }
            _ => self.slices.push_back(Slice { first: now, last: now, starts: 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use proptest::prelude::*;

    /// Begins as often as allowed, asking again whenever it says it is ready.
    fn starts(limit: RateLimit, for_spans: u32, begin: Instant) -> Vec<Instant> {
        let mut rate = Rate::new(limit);
        let mut now = begin;
        let mut starts = vec![];
        while now < begin + limit.per * for_spans {
            let ready = rate.ready_at(now);
            if ready > now {
                now = ready;
                continue;
            }
            rate.begin(now);
            starts.push(now);
            now += limit.per / (limit.events * 3);
        }
        starts
    }

    proptest! {
        #[test]
        fn no_span_sees_more_than_the_limit_and_the_long_run_little_less(
            events in 1_u32..500, per_ms in 1_u64..100_000,
        ) {
            let limit = RateLimit { events, per: Duration::from_millis(per_ms) };
            let starts = starts(limit, 5, Instant::now());
            for window in starts.windows(events as usize + 1) {
                prop_assert!(window[events as usize] - window[0] >= limit.per);
            }
            prop_assert!(starts.len() >= 5 * events as usize * 98 / 100);
        }
    }

    #[test]
    fn changed_limit_counts_what_began_before_it() {
        let limit = |events| RateLimit { events, per: Duration::from_secs(10) };
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut rate = Rate::new(limit(3));
        for seconds in [0, 1, 2] {
            rate.begin(at(seconds));
        }
        for (events, ready) in [(3, at(10)), (2, at(10)), (4, at(2))] {
            rate = rate.changed_to(limit(events));
            assert_eq!(rate.ready_at(at(2)), ready, "{events}");
        }
        rate = rate.changed_to(limit(2));
        // One left the span, and two are still in it.
        assert_eq!(rate.ready_at(at(10)), at(11));
        rate = rate.changed_to(RateLimit { events: 2, per: Duration::from_secs(1) });
        assert_eq!(rate.ready_at(at(10)), at(10));
    }

    #[test]
    fn memory_does_not_grow_with_the_limit() {
        let limit = RateLimit { events: u32::MAX, per: Duration::from_secs(1) };
        let begin = Instant::now();
        let mut rate = Rate::new(limit);
        for step in 0..100_000 {
            let now = begin + Duration::from_micros(step * 20);
            assert_eq!(rate.ready_at(now), now);
            rate.begin(now);
        }
        assert!(rate.slices.len() <= SLICES as usize + 2, "{}", rate.slices.len());
    }
}
