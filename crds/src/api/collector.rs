//! The `Collector`: appends what it receives to a log file.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Explicit, HttpRoute, Ingress, Listener, Log, Monitoring, Pod, Service, Status, Storage};
use crate::text::{Namespace, RESOURCE_NAME_RULE, RESOURCE_NAME_SAYS};

/// A collector: appends each request body to a log file, and syncs it to disk before it answers.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "visnyk.dev",
    version = "v1alpha1",
    kind = "Collector",
    shortname = "vcol",
    category = "visnyk",
    namespaced,
    derive = "PartialEq",
    status = "Status",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.ready"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
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
    doc = "A collector: appends each request body to a log file, and syncs it to disk before it answers.",
    validation = (RESOURCE_NAME_RULE, RESOURCE_NAME_SAYS),
    validation = (SOMEBODY_RULE, NOBODY),
    validation = (PROXY_RULE, BEHIND_A_PROXY),
)]
#[serde(rename_all = "camelCase")]
pub struct CollectorSpec {
    /// Port, TLS and limits of the HTTP server to which relays and other senders connect.
    pub listener: Listener<8080>,
    /// Storage for the log, in the data folder. Needs exactly one of `persistent`, `ephemeral`. Absent: persistent,
    /// 8Gi. Outside a cluster `--data-dir` names the folder.
    #[serde(default)]
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub storage: Storage,
    /// The log file, to which each request body is appended as one line. `log: {}` takes the defaults.
    pub log: Log,
    /// Senders that may send. `access: {}` allows the relays of the Collector's own namespace only.
    pub access: Access,
    /// Settings of the Service through which senders in the cluster reach the pod. Absent: type `ClusterIP`, port 443
    /// (80 without TLS).
    #[serde(default)]
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub service: Service,
    /// Settings of the pod: resources, scheduling, labels, image. Absent: the operator's defaults. A change replaces
    /// the pod.
    #[serde(default)]
    #[serde(skip_serializing_if = "super::is_default")]
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub pod: Pod,
    /// An Ingress that leads to the Service. Absent: none is created. Needs `access.anonymousIngest`, because the
    /// Ingress ends TLS and passes no client certificate on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub ingress: Option<Ingress>,
    /// An HTTPRoute (Gateway API) that leads from a Gateway to the Service. Absent: none is created. Needs
    /// `access.anonymousIngest`, because the Gateway ends TLS and passes no client certificate on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub http_route: Option<HttpRoute>,
    /// A ServiceMonitor for a Prometheus operator. Absent: none is created; metrics stay available at port 8081,
    /// `/metrics`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub monitoring: Option<Monitoring>,
}

/// Senders that may send to a Collector: relays of its own namespace, which their certificates prove, and those
/// listed here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Access {
    /// Further namespaces whose relays may send. Relays in the Collector's own namespace may always send. Absent:
    /// none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub namespaces: Vec<Namespace>,
    /// Permission for anyone who can reach the port to send, without a certificate. Must be set explicitly, as
    /// `anonymousIngest: {}`. Absent: only relays with a certificate may send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymous_ingest: Option<Explicit>,
}

/// CEL rule: without TLS no sender can present a certificate.
const SOMEBODY_RULE: &str = "!has(self.spec.listener.tls.none) || has(self.spec.access.anonymousIngest)";

/// Error text for a Collector that no sender could use, because it has no TLS.
pub(crate) const NOBODY: &str =
    "access needs anonymousIngest with listener.tls.none: without TLS there is no client certificate";

/// CEL rule: an Ingress or Gateway ends TLS and passes no certificate on.
const PROXY_RULE: &str =
    "!(has(self.spec.ingress) || has(self.spec.httpRoute)) || has(self.spec.access.anonymousIngest)";

/// Error text for an Ingress or Gateway through which no sender could be admitted.
pub(crate) const BEHIND_A_PROXY: &str = "access needs anonymousIngest with an ingress or httpRoute: they end TLS and pass no client certificate on";
