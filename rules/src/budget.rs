//! The cost of an event, counted and never timed, so that a decision is the same on every machine.

use std::cell::Cell;

/// Maximum cost of one event, over all rules and destinations: 8 MiB. Reading a byte costs 1.
pub const LIMIT: u64 = 8 << 20;

/// Cost of evaluating one node of an expression, in the unit of a byte read.
pub const NODE: u64 = 16;

/// The limit is reached: no further expression is evaluated for this event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// Running cost of one event.
#[derive(Debug, Default)]
pub(crate) struct Budget(Cell<u64>);

impl Budget {
    /// Adds a cost before the work is done.
    ///
    /// # Errors
    /// If the work would exceed [`LIMIT`]. Then it must not be done, and every later charge fails too: otherwise a
    /// cheap rule could still decide after an expensive one could not.
    pub(crate) fn charge(&self, cost: u64) -> Result<(), Exhausted> {
        let spent = self.0.get().saturating_add(cost);
        if spent > LIMIT {
            self.0.set(LIMIT);
            return Err(Exhausted);
        }
        self.0.set(spent);
        Ok(())
    }

    /// Adds the cost of reading so many bytes.
    pub(crate) fn read(&self, bytes: usize) -> Result<(), Exhausted> {
        self.charge(bytes as u64)
    }

    /// Returns the cost so far, at most [`LIMIT`].
    pub(crate) fn spent(&self) -> u64 {
        self.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_ends_for_good_at_its_limit() {
        let budget = Budget::default();
        assert_eq!(budget.charge(LIMIT), Ok(()));
        assert_eq!(budget.charge(0), Ok(()));
        assert_eq!(budget.charge(1), Err(Exhausted));
        let budget = Budget::default();
        assert_eq!(budget.charge(LIMIT + 1), Err(Exhausted));
        assert_eq!(budget.charge(1), Err(Exhausted));
        assert_eq!(budget.spent(), LIMIT);
    }
}
