//! The parts that every reconcile works with.

use std::collections::BTreeSet;

use crate::apply::claim::OthersClaims;
use crate::apply::{Verified, Writer};
use crate::children::child::Kind;
use crate::cluster::Cluster;
use crate::cluster::references::References;
use crate::cluster::watched::Watched;
use crate::process::args::Images;
use crate::process::installation::Installation;
use crate::process::metrics::OperatorMetrics;
use crate::process::run::ControllerDeps;

/// The parts that every reconcile to resources of one kind works with.
pub struct Context {
    /// API server, and the cluster as it is known.
    pub cluster: Cluster,
    /// Installation of this operator.
    pub installation: Installation,
    /// Resources that other installations manage.
    pub others: OthersClaims,
    /// Images of the workloads.
    pub images: Images,
    /// Kinds of children that the cluster knows.
    pub kinds: BTreeSet<Kind>,
    /// Cache of what was written, and the publisher of Events.
    pub writer: Writer,
    /// Metrics of the operator.
    pub metrics: OperatorMetrics,
}

impl Context {
    /// Returns the context of a controller that begins.
    pub fn new(deps: &ControllerDeps, kinds: &[Kind], watched: Watched, references: References) -> Self {
        Self {
            cluster: Cluster::new(deps.client.clone(), watched, references),
            installation: deps.installation.clone(),
            others: OthersClaims::default(),
            images: deps.images.clone(),
            kinds: kinds.iter().copied().collect(),
            writer: Writer { verified: Verified::default(), events: deps.events.clone() },
            metrics: deps.metrics.clone(),
        }
    }
}
