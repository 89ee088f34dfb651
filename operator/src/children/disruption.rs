//! The PodDisruptionBudget: when nodes are emptied, one pod at a time.

use serde_json::json;

use crate::children::child::{Child, Kind};
use crate::children::meta::Owner;

/// Returns the PodDisruptionBudget. A pod that is not ready accepts nothing that an eviction could interrupt: it may
/// always be evicted, or a node whose only relay is not ready could never be emptied.
pub fn disruption_budget(owner: &Owner) -> Child {
    let body = json!({ "spec": {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": { "matchLabels": owner.pods() },
    } });
    Child::new(owner, Kind::PodDisruptionBudget, owner.base(), body)
}
