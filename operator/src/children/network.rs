//! The NetworkPolicy: of the pods' ports only the two that are meant for others. Where they may connect to is
//! the address guard's matter, which knows names.

use serde_json::json;
use visnyk_crds::contract::HEALTH_PORT;

use super::Workload;
use crate::children::child::{Child, Kind};

/// Returns the NetworkPolicy of the pods.
pub fn network_policy(workload: &Workload<'_>) -> Child {
    let body = json!({ "spec": {
        "podSelector": { "matchLabels": workload.owner.pods() },
        "policyTypes": ["Ingress"],
        "ingress": [{ "ports": [
            { "port": workload.port, "protocol": "TCP" },
            { "port": HEALTH_PORT, "protocol": "TCP" },
        ] }],
    } });
    Child::new(workload.owner, Kind::NetworkPolicy, workload.owner.base(), body)
}
