//! The collector: writes down what relays and old senders bring.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Aloud, HttpRoute, Ingress, Listener, Log, Monitoring, Pod, Service, Status, Storage};
use crate::text::{Namespace, RESOURCE_NAME_RULE, RESOURCE_NAME_SAYS};

/// Collects what relays deliver and appends each body to a log, synced before it answers.
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
    doc = "Collects what relays deliver and appends each body to a log, synced before it answers.",
    validation = (RESOURCE_NAME_RULE, RESOURCE_NAME_SAYS),
    validation = (SOMEBODY_RULE, NOBODY),
    validation = (PROXY_RULE, BEHIND_A_PROXY),
)]
#[serde(rename_all = "camelCase")]
pub struct CollectorSpec {
    /// Where relays and other senders connect.
    pub listener: Listener<8080>,
    /// Where its data folder is. Beside a cluster it is where the command line says.
    #[serde(default)]
    pub storage: Storage,
    /// The file that gets a line per body.
    pub log: Log,
    /// Who may send.
    pub access: Access,
    /// How senders find the pods.
    #[serde(default)]
    pub service: Service,
    /// Overrides for the pods.
    #[serde(default)]
    #[serde(skip_serializing_if = "super::is_default")]
    pub pod: Pod,
    /// An Ingress before the Service, which needs `access.anonymousIngest`; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// A route from a Gateway to the Service, which needs `access.anonymousIngest`; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_route: Option<HttpRoute>,
    /// Metrics for a Prometheus operator; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
}

/// Who may send to a collector: relays of its own namespace, which a certificate says they are, and whoever else is
/// named here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Access {
    /// Other namespaces whose relays may send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub namespaces: Vec<Namespace>,
    /// Anyone who can reach the port may send; it has to be said aloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymous_ingest: Option<Aloud>,
}

/// Without TLS nobody can show a certificate.
const SOMEBODY_RULE: &str = "!has(self.spec.listener.tls.none) || has(self.spec.access.anonymousIngest)";

/// What is wrong with a collector that could let nobody in.
pub(crate) const NOBODY: &str =
    "access needs anonymousIngest where the listener has no tls: nobody can show a certificate there";

/// An Ingress or Gateway ends TLS, and no certificate gets past it.
const PROXY_RULE: &str =
    "!(has(self.spec.ingress) || has(self.spec.httpRoute)) || has(self.spec.access.anonymousIngest)";

/// What is wrong with a way in on which nobody could be let in.
pub(crate) const BEHIND_A_PROXY: &str = "access needs anonymousIngest where there is an ingress or httpRoute: nobody can show a certificate through it";
