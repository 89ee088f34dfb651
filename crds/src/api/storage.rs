//! The volume or folder of the data folder; the same for a relay's spool and a Collector's storage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::exactly_one;
use crate::bounds;
use crate::text::{ObjectName, Quantity};

/// The objects of which [`Storage`] holds exactly one.
pub(crate) const KINDS: &[&str] = &["persistent", "ephemeral"];

/// Returns the rules of an object with the fields [`KINDS`]: exactly one of them, and never the other one later.
pub(super) fn one_kind_for_ever() -> Value {
    let mut rules = exactly_one(KINDS);
    if let Some(rules) = rules.as_array_mut() {
        rules.push(json!({
            "rule": "has(self.persistent) == has(oldSelf.persistent)",
            "message": "persistent and ephemeral cannot replace each other: the stored data would be left behind",
        }));
    }
    rules
}

/// Storage of the data folder: exactly one of `persistent`, `ephemeral`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = one_kind_for_ever()))]
pub struct Storage {
    /// A volume that outlives the pod. Exactly one of `persistent`, `ephemeral`; one cannot replace the other later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent: Option<Persistent>,
    /// A folder that is deleted with the pod: **the log is lost with it**. Exactly one of `persistent`, `ephemeral`;
    /// one cannot replace the other later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<Ephemeral>,
}

impl Default for Storage {
    fn default() -> Self {
        let persistent = Persistent { size: Quantity::from("8Gi"), storage_class_name: None };
        Self { persistent: Some(persistent), ephemeral: None }
    }
}

/// A volume that outlives the process and the pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Persistent {
    /// Room for data, per pod. The `PersistentVolumeClaim` asks for size x 1.125 + 32Mi, because a file system needs
    /// some itself: 50Gi claims about 56.3Gi. It can be increased later, and never decreased.
    #[schemars(extend("x-kubernetes-validations" = bounds::SPOOL_SIZE.growing_rules()))]
    pub size: Quantity,
    /// StorageClass of the volume. Absent: the cluster's default class. A volume keeps its class: after a change
    /// `Accepted` is False until its claim is deleted. A claim that was never bound is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub storage_class_name: Option<ObjectName>,
}

/// A folder that is deleted with the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Ephemeral {
    /// Maximum size of the data, per pod. Absent: the size of the node's file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = bounds::SPOOL_SIZE.rules()))]
    pub size: Option<Quantity>,
}
