//! The hash by which a pod reports the configuration it runs.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Paths of the fields that only the operator reads. They do not change the configuration of a pod.
const OF_THE_OPERATOR: &[&str] = &[
    "replicas",
    "service",
    "pod",
    "autoscaling",
    "ingress",
    "httpRoute",
    "monitoring",
    "storage",
    "listener.tls.certManager.issuerRef",
    "listener.tls.certManager.dnsNames",
    "spool.onDelete",
    "spool.drainTimeout",
    "spool.persistent.storageClassName",
];

/// Returns the hexadecimal SHA-256 of the spec as JSON with sorted keys, with defaults and without the fields that
/// only the operator reads.
pub(crate) fn configuration_hash(spec: &impl Serialize) -> String {
    let mut value = serde_json::to_value(spec).unwrap_or_default();
    for path in OF_THE_OPERATOR {
        remove(&mut value, path);
    }
    value.sort_all_objects();
    format!("{:x}", Sha256::digest(value.to_string()))
}

fn remove(value: &mut Value, path: &str) {
    let Some(fields) = value.as_object_mut() else { return };
    match path.split_once('.') {
        None => drop(fields.remove(path)),
        Some((first, rest)) => fields.get_mut(first).into_iter().for_each(|inner| remove(inner, rest)),
    }
}
