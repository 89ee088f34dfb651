//! The HorizontalPodAutoscaler: it sets the replicas of the resource, and only the resource sets those of the
//! pods.

use serde_json::json;
use visnyk_crds::api::Autoscaling;

use crate::children::child::{Child, Kind};
use crate::children::meta::Owner;

/// Returns the HorizontalPodAutoscaler of a relay.
pub fn autoscaler(owner: &Owner, bounds: &Autoscaling) -> Child {
    let body = json!({ "spec": {
        "scaleTargetRef": { "apiVersion": "visnyk.dev/v1alpha1", "kind": owner.role.kind(), "name": owner.name },
        "minReplicas": bounds.min_replicas,
        "maxReplicas": bounds.max_replicas,
        "metrics": [{ "type": "Resource", "resource": {
            "name": "cpu",
            "target": { "type": "Utilization", "averageUtilization": bounds.cpu_utilization },
        } }],
    } });
    Child::new(owner, Kind::HorizontalPodAutoscaler, owner.base(), body)
}
