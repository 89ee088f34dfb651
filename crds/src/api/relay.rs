//! The relay: receives, keeps, delivers.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Destination, Heartbeat, Listener, Source, Spool};
use crate::text::{RESOURCE_NAME_RULE, RESOURCE_NAME_SAYS};

/// Receives webhooks, keeps each one safe before it says so, and delivers it to every destination.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "visnyk.dev",
    version = "v1alpha1",
    kind = "WebhookRelay",
    shortname = "whr",
    category = "visnyk",
    namespaced,
    derive = "PartialEq",
    doc = "Receives webhooks, keeps each one safe before it says so, and delivers it to every destination.",
    validation = (RESOURCE_NAME_RULE, RESOURCE_NAME_SAYS),
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.heartbeat) || self.heartbeat.to.all(name, self.destinations.exists(d, d.name == name))",
    "message": "heartbeat.to may only name destinations of this relay",
}]))]
pub struct WebhookRelaySpec {
    /// Where senders connect.
    pub listener: Listener<8443>,
    /// Where accepted events are kept until every destination has them.
    pub spool: Spool,
    /// Who may send, each kind of sender on a path of its own.
    #[schemars(length(min = 1, max = 64), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name"],
        "x-kubernetes-validations" = [{
            "rule": "self.all(one, self.exists_one(other, other.path == one.path))",
            "message": "each path may belong to one source only",
        }],
    ))]
    pub sources: Vec<Source>,
    /// Who gets every accepted event. One that is removed here keeps its undelivered events for
    /// `spool.retainRemoved`, in case it comes back.
    #[schemars(length(min = 1, max = 64), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name"],
    ))]
    pub destinations: Vec<Destination>,
    /// A sign of life to destinations; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Heartbeat>,
}
