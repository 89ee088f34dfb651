//! Where accepted events are kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::exactly_one;
use crate::bounds;
use crate::text::{GoDuration, Quantity};

/// The objects of which [`Spool`] holds exactly one.
pub(crate) const KINDS: &[&str] = &["persistent", "ephemeral"];

/// Where accepted events are kept: exactly one of `persistent`, `ephemeral`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = exactly_one(KINDS)))]
pub struct Spool {
    /// On a volume that outlives the process and the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent: Option<Persistent>,
    /// In a folder that lives as long as the pod: **undelivered events are lost with it**.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<Ephemeral>,
    /// How long a destination that was removed keeps its undelivered events. Added again by the same
    /// name in that time it goes on; after it they are dropped, by name.
    #[serde(default = "retain_removed")]
    #[schemars(extend("x-kubernetes-validations" = bounds::RETAIN_REMOVED.rules()))]
    pub retain_removed: GoDuration,
}

/// On a volume that outlives the process and the pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Persistent {
    /// Journal and state together. When it is full new events are refused with 503, and none is lost.
    #[schemars(extend("x-kubernetes-validations" = bounds::SPOOL_SIZE.rules()))]
    pub size: Quantity,
}

/// In a folder that lives as long as the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Ephemeral {
    /// Journal and state together; absent: what the file system has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = bounds::SPOOL_SIZE.rules()))]
    pub size: Option<Quantity>,
}

fn retain_removed() -> GoDuration {
    GoDuration::from("24h")
}
