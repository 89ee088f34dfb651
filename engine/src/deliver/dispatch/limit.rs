//! The number of requests that may be in flight to one destination, found by measuring.
//! Pure; the dispatcher brings what it saw.
//!
//! A round is as many answers as requests are allowed. If its median round trip is near the usual one and the limit was
//! reached, one more is allowed; if it is well above, or an eighth of the attempts failed, a tenth fewer are. An answer
//! that says "too many" halves the limit at once, and what was too many is tried again only after many rounds. The
//! median, because a few slow answers say nothing about the rest. The usual round trip is a moving average: a destination
//! that is slower for good is not held down for ever.

use std::time::Duration;

/// Requests that are allowed before anything is known.
const START: usize = 8;
/// Answers that a round has at least.
const MIN_ROUND: usize = 8;
/// Weight of a round in the usual round trip. A slow one has less, so that what is too much does not become usual.
const WEIGHT: f64 = 0.25;
const WEIGHT_OF_SLOW: f64 = 0.05;
/// A round trip of up to this many times the usual one is near it.
const NEAR: f64 = 1.25;
/// One of more than this many times the usual one, and of this many deviations, is well above it.
const SLOW: f64 = 1.5;
const DEVIATIONS: f64 = 2.5;
/// One in so many attempts must fail to make a round a bad one.
const FAILURES: usize = 8;
/// Good rounds before a limit is tried again at which the destination said that there were too many.
const PATIENCE: usize = 32;

/// A limit that follows what a destination can take: see the module.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    max: usize,
    allowed: usize,
    era: Era,
    round: Round,
    usual: Option<Usual>,
    /// The limit at which the destination last said that there were too many, and good rounds just below it since.
    refused_at: Option<(usize, usize)>,
}

/// A moment at which a request was begun, as the limit counts: it is raised by each decrease. Outcomes of requests that
/// began before one say nothing about the limit since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Era(u64);

/// The answers since the last decision.
#[derive(Clone, Debug, Default)]
struct Round {
    /// Round trips of the attempts that were answered.
    latencies: Vec<Duration>,
    failures: usize,
    is_limit_reached: bool,
}

/// Moving averages over rounds, in seconds.
#[derive(Clone, Copy, Debug)]
struct Usual {
    round_trip: f64,
    deviation: f64,
}

impl ConcurrencyLimit {
    /// Makes a limit between 1 and `max`.
    pub fn new(max: usize) -> Self {
        let max = max.max(1);
        Self {
            max,
            allowed: START.min(max),
            era: Era(0),
            round: Round::default(),
            usual: None,
            refused_at: None,
        }
    }

    /// Returns the limit with another maximum.
    #[must_use]
    pub fn changed_to(self, max: usize) -> Self {
        let max = max.max(1);
        Self { max, allowed: self.allowed.min(max), ..self }
    }

    /// Returns the number of requests that may be in flight.
    pub fn allowed(&self) -> usize {
        self.allowed
    }

    /// Records that a request begins, the last of `in_flight`. Keep what it returns for the outcome.
    pub fn begin(&mut self, in_flight: usize) -> Era {
        self.round.is_limit_reached |= in_flight >= self.allowed;
        self.era
    }

    /// Records an answer that came after this long.
    pub fn answered(&mut self, begun: Era, round_trip: Duration) {
        if begun == self.era {
            self.round.latencies.push(round_trip);
            self.decide();
        }
    }

    /// Records that the destination could not be reached, did not answer in time, or answered 5xx.
    pub fn failed(&mut self, begun: Era) {
        if begun == self.era {
            self.round.failures += 1;
            self.decide();
        }
    }

    /// Records that the destination said that there are too many requests.
    pub fn refused(&mut self, begun: Era) {
        if begun == self.era {
            self.refused_at = Some((self.allowed, 0));
            self.shrink_to(self.allowed / 2);
        }
    }

    /// Forgets what was measured, as the destination was away: it begins with as few as at first.
    pub fn start_anew(&mut self) {
        self.usual = None;
        self.refused_at = None;
        self.shrink_to(self.allowed.min(START));
    }

    fn decide(&mut self) {
        let answers = self.round.latencies.len() + self.round.failures;
        if answers < self.allowed.max(MIN_ROUND) {
            return;
        }
        let Round { latencies, failures, is_limit_reached } = std::mem::take(&mut self.round);
        let pace = median(latencies).map_or(Pace::Usual, |round_trip| self.compare(round_trip));
        if failures * FAILURES >= answers || pace == Pace::Slow {
            self.shrink_to(self.allowed - self.allowed.div_ceil(10));
        } else if is_limit_reached && pace == Pace::Usual && self.may_grow() {
            self.allowed = (self.allowed + 1).min(self.max);
        }
    }

    /// Returns whether another good round is enough for one more.
    fn may_grow(&mut self) -> bool {
        match &mut self.refused_at {
            Some((at, rounds)) if self.allowed + 1 >= *at && *rounds < PATIENCE => {
                *rounds += 1;
                false
            }
            _ => true,
        }
    }

    /// Compares a round with the usual, and lets it count for it.
    fn compare(&mut self, round_trip: Duration) -> Pace {
        let seen = round_trip.as_secs_f64();
        let Some(usual) = &mut self.usual else {
            self.usual = Some(Usual { round_trip: seen, deviation: 0.0 });
            return Pace::Usual;
        };
        let pace = if seen <= usual.round_trip * NEAR {
            Pace::Usual
        } else if seen > usual.round_trip * SLOW + usual.deviation * DEVIATIONS {
            Pace::Slow
        } else {
            Pace::Between
        };
        let difference = seen - usual.round_trip;
        let weight = if pace == Pace::Slow { WEIGHT_OF_SLOW } else { WEIGHT };
        usual.round_trip += weight * difference;
        usual.deviation += weight * (difference.abs() - usual.deviation);
        pace
    }

    fn shrink_to(&mut self, allowed: usize) {
        self.allowed = allowed.max(1);
        self.era.0 += 1;
        self.round = Round::default();
    }
}

/// A round's round trip beside the usual one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Usual,
    Between,
    Slow,
}

fn median(mut values: Vec<Duration>) -> Option<Duration> {
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable(middle).1)
}

#[cfg(test)]
mod tests;
