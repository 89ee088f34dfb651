//! The PodDisruptionBudget: when nodes are emptied, one pod at a time.

use serde_json::json;

use crate::child::{Child, Kind};
use crate::meta::Owner;

/// The PodDisruptionBudget.
pub fn disruption_budget(owner: &Owner) -> Child {
    let body = json!({ "spec": { "maxUnavailable": 1, "selector": { "matchLabels": owner.pods() } } });
    Child::new(owner, Kind::PodDisruptionBudget, owner.base(), body)
}
