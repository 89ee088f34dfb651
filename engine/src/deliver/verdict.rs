//! What the end of an attempt means for its event. Pure: the dispatcher brings the randomness and keeps the time.

use std::time::Duration;

use visnyk_crds::valid::Destination;

use super::failure::{Failure, Kind};
use super::schedule;

/// What becomes of an event whose attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is tried again after this long.
    Again(Duration),
    /// It is tried no more.
    Dead,
    /// Nothing is tried any more: the destination is gone, the event stays pending.
    Gone,
}

/// Judges an event of which `attempts` have failed, the last one with `failure`. `random` is uniform in 0..1.
pub fn verdict(destination: &Destination, attempts: u32, failure: &Failure, random: f64) -> Verdict {
    if let Kind::Status(status) = failure.kind
        && destination.final_statuses.contains(status)
    {
        return Verdict::Dead;
    }
    if failure.kind.is_gone() {
        return Verdict::Gone;
    }
    schedule::next_delay(&destination.retry, attempts, failure.retry_after, random)
        .map_or(Verdict::Dead, Verdict::Again)
}

#[cfg(test)]
mod tests;
