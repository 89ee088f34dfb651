//! The meaning of a failed attempt for its event. Pure: the dispatcher supplies randomness and time.

use std::time::Duration;

use visnyk_crds::valid::Destination;

use super::schedule;
use crate::deliver::failure::{Failure, FailureKind};

/// The next step for an event whose attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The event is tried again after this time.
    Again(Duration),
    /// The event becomes a dead letter.
    Dead,
    /// The destination is disabled, because it answered 410. The event stays pending.
    Gone,
}

/// The object that a failure says something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The failure concerns the destination as a whole.
    Outage,
    /// The event, or the destination as a whole: many in a row are an outage.
    Refusal,
    /// The failure concerns the event alone.
    Event,
}

/// Returns the object that a failure at a destination says something about.
pub fn reach(destination: &Destination, kind: FailureKind) -> Reach {
    match kind {
        _ if kind.is_outage() => Reach::Outage,
        FailureKind::Status(status @ (401 | 403 | 404)) if !destination.final_statuses.contains(status) => {
            Reach::Refusal
        }
        _ => Reach::Event,
    }
}

/// Returns the meaning of a failure that does not depend on the schedule; `None` if the schedule decides.
pub fn ending(destination: &Destination, failure: &Failure) -> Option<Verdict> {
    match failure.kind {
        FailureKind::Status(status) if destination.final_statuses.contains(status) => Some(Verdict::Dead),
        kind if kind.is_gone() => Some(Verdict::Gone),
        _ => None,
    }
}

/// Judges an event of which `attempts` have failed, the last one with `failure`. `random` is uniform in 0..1.
pub fn verdict(destination: &Destination, attempts: u32, failure: &Failure, random: f64) -> Verdict {
    ending(destination, failure).unwrap_or_else(|| {
        schedule::next_delay(&destination.retry, attempts, failure.retry_after, random)
            .map_or(Verdict::Dead, Verdict::Again)
    })
}

#[cfg(test)]
mod tests;
