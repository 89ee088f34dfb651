//! The observed state of the cluster. Reads only.

pub mod backoff;
pub mod child_meta;
pub mod creation_failure;
pub mod fetch;
pub mod live_children;
pub mod pods;
pub mod references;
pub mod refusals;
pub mod secret_changes;
pub mod watched;
pub mod written;

use kube::Client;

use crate::cluster::backoff::Backoff;
use crate::cluster::pods::Pods;
use crate::cluster::references::References;
use crate::cluster::secret_changes::SecretChanges;
use crate::cluster::watched::Watched;

/// The cluster as the controller of one kind knows it.
pub struct Cluster {
    /// Client of the API server.
    pub client: Client,
    /// Children, pods and claims, by watches.
    pub watched: Watched,
    /// Objects of others that resources refer to.
    pub references: References,
    /// Client that asks pods for their status.
    pub pods: Pods,
    /// Times at which the Secrets that pods mount last changed.
    pub secret_changes: SecretChanges,
    /// Waits after failed reconciles.
    pub backoff: Backoff,
}

impl Cluster {
    /// Returns a cluster of which nothing but the watches is known.
    pub fn new(client: Client, watched: Watched, references: References) -> Self {
        Self {
            client,
            watched,
            references,
            pods: Pods::default(),
            secret_changes: SecretChanges::default(),
            backoff: Backoff::default(),
        }
    }
}
