//! What every visit works with.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::Client;

use crate::apply::Verified;
use crate::args::Images;
use crate::child::Kind;
use crate::events::Events;
use crate::metrics::OperatorMetrics;
use crate::pods::Pods;
use crate::references::References;
use crate::run::Outfit;
use crate::watched::{Concerned, Watched};

/// What every visit to resources of one kind works with.
pub struct Context {
    /// The API server.
    pub client: Client,
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
    /// How long to wait after a failed visit.
    pub patience: Patience,
}

impl Context {
    /// Of a controller that begins.
    pub fn new(outfit: &Outfit, kinds: &[Kind], watched: Watched, references: References) -> Self {
        Self {
            client: outfit.client.clone(),
            images: outfit.images.clone(),
            kinds: kinds.iter().copied().collect(),
            watched,
            references,
            verified: Verified::default(),
            pods: Pods::default(),
            metrics: outfit.metrics.clone(),
            events: outfit.events.clone(),
            patience: Patience::default(),
        }
    }
}

/// How long to wait after a failed visit: twice as long after each in a row.
#[derive(Debug, Default)]
pub struct Patience(Mutex<HashMap<Concerned, u32>>);

impl Patience {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_mins(1);

    /// The wait after another failure.
    pub fn next(&self, resource: Concerned) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = failures.entry(resource).or_default();
        *failures += 1;
        Self::FIRST.saturating_mul(2_u32.saturating_pow(*failures - 1)).min(Self::LONGEST)
    }

    /// After a success the next wait is the first again; so it is for another resource of a name.
    pub fn forget(&self, resource: &Concerned) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(resource);
    }
}
