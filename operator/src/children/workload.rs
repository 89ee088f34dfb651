//! Workloads: a StatefulSet where each pod has a volume of its own, else a Deployment.

use serde_json::{Map, Value, json};

use super::pod::{Duty, template};
use super::{Data, Workload};
use crate::children::child::{Child, Kind};
use crate::children::meta::Owner;

/// Bytes that file systems use themselves, besides an eighth.
const OVERHEAD: u64 = 32 << 20;

/// Returns the bytes to claim for a folder that may take `size` bytes.
pub fn claim_size(size: u64) -> u64 {
    size.saturating_add(size / 8).saturating_add(OVERHEAD)
}

/// Returns bytes as a quantity, rounded up.
pub fn quantity(bytes: u64) -> String {
    format!("{}Mi", bytes.div_ceil(1 << 20))
}

/// Returns the Deployment or StatefulSet.
pub fn workload(workload: &Workload<'_>) -> Child {
    let owner = workload.owner;
    let mut spec = json!({
        "replicas": workload.replicas,
        "revisionHistoryLimit": 2,
        "selector": { "matchLabels": owner.pods() },
        "template": template(workload, Duty::Serve),
    });
    match workload.data {
        Data::Ephemeral { .. } => {
            // The new one is ready before the old one goes.
            spec["strategy"] =
                json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } });
            Child::new(owner, Kind::Deployment, owner.base(), json!({ "spec": spec }))
        }
        Data::Persistent { claim, class } => {
            spec["serviceName"] = owner.child("pods").into();
            spec["podManagementPolicy"] = "Parallel".into();
            spec["updateStrategy"] = json!({ "type": "RollingUpdate" });
            // Who deletes or scales a StatefulSet has not said a word of its relay: what that leaves behind is looked
            // after apart from it.
            spec["persistentVolumeClaimRetentionPolicy"] =
                json!({ "whenDeleted": "Retain", "whenScaled": "Retain" });
            spec["volumeClaimTemplates"] = json!([claim_template(owner, claim, class)]);
            Child::new(owner, Kind::StatefulSet, owner.base(), json!({ "spec": spec }))
        }
    }
}

fn claim_template(owner: &Owner, claim: u64, class: Option<&str>) -> Value {
    let mut spec = Map::new();
    spec.insert("accessModes".into(), json!(["ReadWriteOnce"]));
    spec.insert("resources".into(), json!({ "requests": { "storage": quantity(claim) } }));
    if let Some(class) = class {
        spec.insert("storageClassName".into(), class.into());
    }
    json!({ "metadata": { "name": "data", "labels": owner.labels() }, "spec": spec })
}
