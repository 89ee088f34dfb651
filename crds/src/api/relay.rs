//! The relay: receives, keeps, delivers.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::{NO_CERTIFICATE_BEHIND_A_GATEWAY, NO_CLIENT_CA, ONE_REPLICA};
use super::{
    Autoscaling, Destination, Heartbeat, HttpRoute, Ingress, Monitoring, Pod, RelayListener, Service, Source,
    Spool, Status,
};
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
    status = "Status",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.ready"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(
        name = "Delivering",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Delivering')].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Certificate until",
        type_ = "string",
        json_path = ".status.certificateNotAfter",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].message",
        priority = 1
    ),
    doc = "Receives webhooks, keeps each one safe before it says so, and delivers it to every destination.",
    validation = (RESOURCE_NAME_RULE, RESOURCE_NAME_SAYS),
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.heartbeat) || self.heartbeat.to.all(name, self.destinations.exists(d, d.name == name))",
    "message": "heartbeat.to may only name destinations of this relay",
}, {
    "rule": "!self.sources.exists(s, has(s.deduplicate)) || (self.replicas <= 1 && !has(self.autoscaling))",
    "message": ONE_REPLICA,
}, {
    "rule": "has(self.listener.tls.clientCa) || !self.sources.exists(s, has(s.verify.clientCertificate))",
    "message": NO_CLIENT_CA,
}, {
    "rule": "!has(self.httpRoute) || !self.sources.exists(s, has(s.verify.clientCertificate))",
    "message": NO_CERTIFICATE_BEHIND_A_GATEWAY,
}]))]
pub struct WebhookRelaySpec {
    /// How many pods there are, each with a spool of its own. An autoscaler sets it by the scale subresource.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 100))]
    pub replicas: u16,
    /// Where senders connect.
    pub listener: RelayListener,
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
    /// How senders find the pods.
    #[serde(default)]
    pub service: Service,
    /// Overrides for the pods.
    #[serde(default)]
    #[serde(skip_serializing_if = "super::is_default")]
    pub pod: Pod,
    /// An autoscaler that sets `replicas`; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// An Ingress before the Service; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// A route from a Gateway to the Service; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_route: Option<HttpRoute>,
    /// Metrics for a Prometheus operator; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
}

fn one() -> u16 {
    1
}
