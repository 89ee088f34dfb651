//! Where a process keeps its data folder; the same for the relay's spool and the collector's storage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::exactly_one;
use crate::bounds;
use crate::text::{ObjectName, Quantity};

/// The objects of which [`Storage`] holds exactly one.
pub(crate) const KINDS: &[&str] = &["persistent", "ephemeral"];

/// The rules of an object with the fields [`KINDS`]: exactly one of them, and the same for ever.
pub(super) fn one_kind_for_ever() -> Value {
    let mut rules = exactly_one(KINDS);
    if let Some(rules) = rules.as_array_mut() {
        rules.push(json!({
            "rule": "has(self.persistent) == has(oldSelf.persistent)",
            "message": "persistent and ephemeral cannot replace each other: data would be left behind",
        }));
    }
    rules
}

/// Where the data folder is: exactly one of `persistent`, `ephemeral`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = one_kind_for_ever()))]
pub struct Storage {
    /// On a volume that outlives the process and the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent: Option<Persistent>,
    /// In a folder that lives as long as the pod: **what was collected is lost with it**.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<Ephemeral>,
}

impl Default for Storage {
    fn default() -> Self {
        let persistent = Persistent { size: Quantity::from("8Gi"), storage_class_name: None };
        Self { persistent: Some(persistent), ephemeral: None }
    }
}

/// On a volume that outlives the process and the pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Persistent {
    /// How much may be kept; it can grow and never shrink. The volume that is claimed is larger by an eighth
    /// and 32Mi, which file systems keep for themselves.
    #[schemars(extend("x-kubernetes-validations" = bounds::SPOOL_SIZE.growing_rules()))]
    pub size: Quantity,
    /// The StorageClass of the volume; absent: the cluster's default. A volume that is there keeps its class: a change is
    /// `Accepted=False` until its claim is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<ObjectName>,
}

/// In a folder that lives as long as the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Ephemeral {
    /// How much may be kept; absent: what the file system has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = bounds::SPOOL_SIZE.rules()))]
    pub size: Option<Quantity>,
}
