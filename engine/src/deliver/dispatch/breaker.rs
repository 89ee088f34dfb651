//! The circuit breaker: how many requests may be in flight to a destination that has been failing.
//! A pure state machine; the dispatcher brings the time and the randomness.
//!
//! Closed, it allows the configured concurrency. Five outages in a row open it, and so do twenty refusals that may
//! be about the event or about everything (401, 403, 404). When the open span is
//! over one request may go (half-open): if that fails too, the next span is twice as long; if it is
//! answered, the allowed concurrency doubles with each further answer until it is what was configured.

use std::time::{Duration, Instant};

use super::schedule::jittered;

const OUTAGES_TO_OPEN: u32 = 5;
const REFUSALS_TO_OPEN: u32 = 20;
const SHORTEST_SPAN: Duration = Duration::from_secs(1);
const MAX_SPAN: Duration = Duration::from_mins(1);
const JITTER_PERCENT: u8 = 20;

/// A circuit breaker: see the module.
#[derive(Clone, Debug)]
pub struct Breaker {
    concurrency: usize,
    state: State,
    /// Duration of the next open phase.
    next_span: Duration,
    /// Number of openings so far. Outcomes of requests that began before the last opening do not count.
    generation: Generation,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Flowing { allowed: usize, outages_in_a_row: u32, refusals_in_a_row: u32 },
    Open { until: Instant },
}

/// A moment at which a request was begun, as the breaker counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(u64);

/// Requests that may be in flight now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// A request may begin while fewer than this many are in flight; at least 1.
    UpTo(usize),
    /// Nothing may begin before this moment.
    NotUntil(Instant),
}

/// Phase of the breaker, for metrics and status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The configured concurrency is allowed.
    Closed,
    /// One request may find out whether the destination is back.
    HalfOpen,
    /// It is back, and the allowed concurrency grows.
    Recovering,
    /// No request may begin.
    Open,
}

impl Breaker {
    /// Makes a closed breaker. `concurrency` is the number of requests that is allowed when there are no failures, at
    /// least 1.
    pub fn new(concurrency: usize) -> Self {
        let concurrency = concurrency.max(1);
        Self {
            concurrency,
            state: State::Flowing { allowed: concurrency, outages_in_a_row: 0, refusals_in_a_row: 0 },
            next_span: SHORTEST_SPAN,
            generation: Generation(0),
        }
    }

    /// Returns the number of requests that may be in flight now.
    pub fn allowance(&self, now: Instant) -> Allowance {
        match self.state {
            State::Flowing { allowed, .. } => Allowance::UpTo(allowed),
            State::Open { until } if now < until => Allowance::NotUntil(until),
            State::Open { .. } => Allowance::UpTo(1),
        }
    }

    /// Returns the breaker's phase at `now`.
    pub fn phase(&self, now: Instant) -> Phase {
        match self.state {
            State::Flowing { allowed, .. } if allowed == self.concurrency => Phase::Closed,
            State::Flowing { .. } => Phase::Recovering,
            State::Open { until } if now < until => Phase::Open,
            State::Open { .. } => Phase::HalfOpen,
        }
    }

    /// Returns the present generation, which is kept with a request that begins now, for [`Breaker::answered`] or
    /// [`Breaker::outage`]. A request that is given up without an outcome needs no report.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Records that the destination answered: with success, or with a refusal that is about the event and not about the
    /// destination.
    pub fn answered(&mut self, begun: Generation) {
        if begun != self.generation {
            return;
        }
        let allowed = match self.state {
            State::Flowing { allowed, .. } => allowed,
            State::Open { .. } => 1,
        };
        // The probe itself is the first of the successes that double what is allowed.
        let allowed = allowed.saturating_mul(2).min(self.concurrency);
        self.state = State::Flowing { allowed, outages_in_a_row: 0, refusals_in_a_row: 0 };
        if allowed == self.concurrency {
            self.next_span = SHORTEST_SPAN;
        }
    }

    /// Records that the destination could not be reached, did not answer in time, or answered 5xx. `random` is uniform
    /// in 0..1 and spreads the end of the open span.
    pub fn outage(&mut self, begun: Generation, now: Instant, random: f64) {
        if begun != self.generation {
            return;
        }
        match &mut self.state {
            State::Flowing { outages_in_a_row, .. } if *outages_in_a_row + 1 < OUTAGES_TO_OPEN => {
                *outages_in_a_row += 1;
            }
            State::Flowing { .. } | State::Open { .. } => self.open(now, random),
        }
    }

    /// Records a refusal that is about the event, or about everything. Many in a row are an outage, and while the
    /// breaker is open one is enough to keep it open.
    pub fn refused(&mut self, begun: Generation, now: Instant, random: f64) {
        if begun != self.generation {
            return;
        }
        match &mut self.state {
            State::Flowing { refusals_in_a_row, .. } if *refusals_in_a_row + 1 < REFUSALS_TO_OPEN => {
                *refusals_in_a_row += 1;
            }
            State::Flowing { .. } | State::Open { .. } => self.open(now, random),
        }
    }

    /// Opens, unless it is open, for a reason that the dispatcher knows. Whether it did.
    pub fn trip(&mut self, now: Instant, random: f64) -> bool {
        let is_flowing = matches!(self.state, State::Flowing { .. });
        if is_flowing {
            self.open(now, random);
        }
        is_flowing
    }

    fn open(&mut self, now: Instant, random: f64) {
        self.state = State::Open { until: now + jittered(self.next_span, JITTER_PERCENT, random) };
        self.next_span = (self.next_span * 2).min(MAX_SPAN);
        self.generation.0 += 1;
    }
}

#[cfg(test)]
mod tests;
