//! The `WebhookRelay`: receives events, stores them and delivers them.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::{NO_CERTIFICATE_BEHIND_A_GATEWAY, NO_CLIENT_CA, ONE_REPLICA};
use super::{
    Autoscaling, Destination, Heartbeat, HttpRoute, Ingress, Monitoring, Pod, RelayListener, Rule, Service,
    Source, Spool, Status,
};
use crate::text::{RESOURCE_NAME_RULE, RESOURCE_NAME_SAYS};

/// A relay: receives webhooks, stores each one on disk before it answers 2xx, and delivers it to every destination.
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
    doc = "A relay: receives webhooks, stores each one on disk before it answers 2xx, and delivers it to every destination.",
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
    /// Number of pods. Each pod has its own spool, so an event stays with the pod that accepted it until it is
    /// delivered. Default 1. With `autoscaling` the autoscaler overwrites this number through the scale subresource.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 100))]
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub replicas: u16,
    /// Port, TLS and limits of the HTTP server to which senders connect.
    pub listener: RelayListener,
    /// Storage for accepted events until every destination has them. Needs exactly one of `persistent`, `ephemeral`.
    pub spool: Spool,
    /// Senders that are accepted, one entry for each path. A request to any other path is answered with 404.
    #[schemars(length(min = 1, max = 64), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name"],
        "x-kubernetes-validations" = [{
            "rule": "self.all(one, self.exists_one(other, other.path == one.path))",
            "message": "each path may belong to one source only",
        }],
    ))]
    pub sources: Vec<Source>,
    /// Rules that set the priority and labels of an event, or drop it. They are looked at from the first to the last for
    /// each event, and the last that matches wins, unless one before it has `stop` or drops the event. Absent: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name"],
    ))]
    pub rules: Vec<Rule>,
    /// Receivers of the events. Each destination gets every accepted event that its `when` selects. The undelivered
    /// events of a destination that is removed from this list are kept for `spool.retainRemoved`.
    #[schemars(length(min = 1, max = 64), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name"],
    ))]
    pub destinations: Vec<Destination>,
    /// Heartbeat requests to destinations at a fixed interval, so that a receiver notices when the relay is silent.
    /// Absent: no heartbeats are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Heartbeat>,
    /// Settings of the Service through which senders in the cluster reach the pods. Absent: type `ClusterIP`, port
    /// 443 (80 without TLS).
    #[serde(default)]
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub service: Service,
    /// Settings of the pods: resources, scheduling, labels, image. Absent: the operator's defaults. A change replaces
    /// the pods.
    #[serde(default)]
    #[serde(skip_serializing_if = "super::is_default")]
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub pod: Pod,
    /// A HorizontalPodAutoscaler that sets `replicas` by CPU use. Absent: no autoscaler, `replicas` stays as written.
    /// Cannot be combined with `deduplicate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub autoscaling: Option<Autoscaling>,
    /// An Ingress that leads to the Service. Absent: none is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub ingress: Option<Ingress>,
    /// An HTTPRoute (Gateway API) that leads from a Gateway to the Service. Absent: none is created. The Gateway ends
    /// TLS, so it cannot be combined with `verify.clientCertificate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub http_route: Option<HttpRoute>,
    /// A ServiceMonitor for a Prometheus operator. Absent: none is created; metrics stay available at port 8081,
    /// `/metrics`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub monitoring: Option<Monitoring>,
}

fn one() -> u16 {
    1
}
