//! What every visit works with.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;

use crate::apply::Verified;
use crate::apply::claim::OthersClaims;
use crate::children::child::Kind;
use crate::children::meta::Concerned;
use crate::cluster::pods::Pods;
use crate::cluster::references::References;
use crate::cluster::secret_changes::SecretChanges;
use crate::cluster::watched::Watched;
use crate::process::args::Images;
use crate::process::events::Events;
use crate::process::installation::Installation;
use crate::process::metrics::OperatorMetrics;
use crate::process::run::Outfit;

/// What every visit to resources of one kind works with.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// This operator's installation.
    pub installation: Installation,
    /// Resources that other installations manage.
    pub others: OthersClaims,
    /// What the workloads run.
    pub images: Images,
    /// The kinds of children that the cluster knows.
    pub kinds: BTreeSet<Kind>,
    /// What is known of children, pods and claims.
    pub watched: Watched,
    /// Who has to hear of what is not ours.
    pub references: References,
    /// What need not be looked at again.
    pub verified: Verified,
    /// Asks pods.
    pub pods: Pods,
    /// The figures.
    pub metrics: OperatorMetrics,
    /// What `kubectl describe` shows.
    pub events: Events,
    /// When the Secrets that pods mount last changed.
    pub secret_changes: SecretChanges,
    /// How long to wait after a failed visit.
    pub patience: Patience,
}

impl Context {
    /// Of a controller that begins.
    pub fn new(outfit: &Outfit, kinds: &[Kind], watched: Watched, references: References) -> Self {
        Self {
            client: outfit.client.clone(),
            installation: outfit.installation.clone(),
            others: OthersClaims::default(),
            images: outfit.images.clone(),
            kinds: kinds.iter().copied().collect(),
            watched,
            references,
            verified: Verified::default(),
            pods: Pods::default(),
            metrics: outfit.metrics.clone(),
            events: outfit.events.clone(),
            secret_changes: SecretChanges::default(),
            patience: Patience::default(),
        }
    }
}

/// How long to wait after a failed visit: twice as long after each in a row. An error that repeats is no hiccup: from
/// [`Patience::REPEATED`] failures on it is told and worked around.
#[derive(Debug, Default)]
pub struct Patience(Mutex<HashMap<Concerned, Failures>>);

/// The failed visits of one resource.
#[derive(Debug, Default)]
struct Failures {
    in_a_row: u32,
    /// Whether the running visit met an error and went on without what had failed.
    is_worked_around: bool,
}

impl Patience {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_mins(1);
    /// Failures in a row after which the next one is no hiccup; by then some three seconds have passed.
    const REPEATED: u32 = 3;

    /// Returns the wait after another failure.
    pub fn next(&self, resource: Concerned) -> Duration {
        let mut all = self.all();
        let failures = all.entry(resource).or_default();
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        Self::FIRST.saturating_mul(2_u32.saturating_pow(failures.in_a_row - 1)).min(Self::LONGEST)
    }

    /// Whether the visits before this one failed so often that another failure is no hiccup.
    pub fn is_over(&self, resource: &Concerned) -> bool {
        self.all().get(resource).is_some_and(|failures| failures.in_a_row >= Self::REPEATED)
    }

    /// Notes that the running visit met an error once more and goes on all the same.
    pub fn work_around(&self, resource: &Concerned) {
        if let Some(failures) = self.all().get_mut(resource) {
            failures.is_worked_around = true;
        }
    }

    /// Notes that a visit came to its end. What it worked around has not passed; otherwise the next wait is the first
    /// again.
    pub fn succeeded(&self, resource: &Concerned) {
        let mut all = self.all();
        match all.get_mut(resource) {
            Some(failures) if failures.is_worked_around => failures.is_worked_around = false,
            Some(_) => drop(all.remove(resource)),
            None => {}
        }
    }

    /// Forgets a resource that is gone: another of its name begins anew.
    pub fn forget(&self, resource: &Concerned) {
        self.all().remove(resource);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Concerned, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_that_repeats_is_no_hiccup_until_a_visit_meets_it_no_more() {
        let (patience, harbour) =
            (Patience::default(), Concerned { namespace: "ships".into(), name: "harbour".into() });
        let waits = [1, 2, 4].map(|halves| Duration::from_millis(500 * halves));
        assert_eq!(
            [(); 3].map(|()| (patience.is_over(&harbour), patience.next(harbour.clone()))),
            waits.map(|wait| (false, wait))
        );
        assert!(patience.is_over(&harbour));
        for _ in 0..2 {
            patience.work_around(&harbour);
            patience.succeeded(&harbour);
            assert!(patience.is_over(&harbour));
        }
        patience.succeeded(&harbour);
        assert!(!patience.is_over(&harbour));
        assert_eq!(patience.next(harbour), waits[0]);
    }
}
