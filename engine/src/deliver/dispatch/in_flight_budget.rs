//! Bytes of events that a destination may have in flight: each has an equal share, so that one that hangs takes nothing
//! from the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of all events under way in a process that may have 512 MiB. A format may more than double an event, bodies
/// that come in have as much again, and the rest is for everything else.
const UNDER_WAY: u64 = 64 << 20;

/// Memory for the events in flight to all destinations. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct InFlightBudget {
    destinations: Arc<AtomicUsize>,
}

impl InFlightBudget {
    /// Sets the number of destinations.
    pub fn divide_among(&self, destinations: usize) {
        self.destinations.store(destinations, Ordering::Relaxed);
    }

    /// Returns the bytes in flight from which a destination starts no further event.
    pub fn share(&self) -> u64 {
        UNDER_WAY / self.destinations.load(Ordering::Relaxed).max(1) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_have_equal_shares() {
        let budget = InFlightBudget::default();
        let shares = [0, 1, 4, 64].map(|destinations| {
            budget.divide_among(destinations);
            budget.clone().share()
        });
        assert_eq!(shares, [64 << 20, 64 << 20, 16 << 20, 1 << 20]);
    }
}
