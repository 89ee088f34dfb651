//! The waits between failed reconciles.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::children::meta::ObjectKey;

/// Waits after failed reconciles: twice as long after each in a row. An error that repeats is reported and worked
/// around from [`Backoff::REPEATED`] failures on.
#[derive(Debug, Default)]
pub struct Backoff(Mutex<HashMap<ObjectKey, Failures>>);

/// The failed reconciles of one resource.
#[derive(Debug, Default)]
struct Failures {
    in_a_row: u32,
    /// True if the running reconcile met an error and went on without what had failed.
    is_worked_around: bool,
}

impl Backoff {
    const INITIAL: Duration = Duration::from_millis(500);
    const MAX: Duration = Duration::from_mins(1);
    /// Number of failures in a row from which on they are reported; some three seconds have passed by then.
    const REPEATED: u32 = 3;

    /// Returns the wait after another failure.
    pub fn next(&self, resource: ObjectKey) -> Duration {
        let mut all = self.all();
        let failures = all.entry(resource).or_default();
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        Self::INITIAL.saturating_mul(2_u32.saturating_pow(failures.in_a_row - 1)).min(Self::MAX)
    }

    /// Returns whether the reconciles before this one failed so often that another failure counts as repeated.
    pub fn is_over(&self, resource: &ObjectKey) -> bool {
        self.all().get(resource).is_some_and(|failures| failures.in_a_row >= Self::REPEATED)
    }

    /// Records that the running reconcile met an error again and goes on.
    pub fn work_around(&self, resource: &ObjectKey) {
        if let Some(failures) = self.all().get_mut(resource) {
            failures.is_worked_around = true;
        }
    }

    /// Records that a reconcile ended without an error. Unless it worked around one, the next wait is the first again.
    pub fn succeeded(&self, resource: &ObjectKey) {
        let mut all = self.all();
        match all.get_mut(resource) {
            Some(failures) if failures.is_worked_around => failures.is_worked_around = false,
            Some(_) => drop(all.remove(resource)),
            None => {}
        }
    }

    /// Forgets a resource that is gone. Another one of its name starts without failures.
    pub fn forget(&self, resource: &ObjectKey) {
        self.all().remove(resource);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<ObjectKey, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_that_repeats_is_no_hiccup_until_a_visit_meets_it_no_more() {
        let (backoff, harbour) =
            (Backoff::default(), ObjectKey { namespace: "ships".into(), name: "harbour".into() });
        let waits = [1, 2, 4].map(|halves| Duration::from_millis(500 * halves));
        assert_eq!(
            [(); 3].map(|()| (backoff.is_over(&harbour), backoff.next(harbour.clone()))),
            waits.map(|wait| (false, wait))
        );
        assert!(backoff.is_over(&harbour));
        for _ in 0..2 {
            backoff.work_around(&harbour);
            backoff.succeeded(&harbour);
            assert!(backoff.is_over(&harbour));
        }
        backoff.succeeded(&harbour);
        assert!(!backoff.is_over(&harbour));
        assert_eq!(backoff.next(harbour), waits[0]);
    }
}
