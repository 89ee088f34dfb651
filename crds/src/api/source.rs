//! Senders that may send.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Priority, Verify, each};
use crate::bounds;
use crate::headers;
use crate::text::{Cidr, GoDuration, HeaderName, IdExpression, Name, RequestPath, SecretKey, SecretName};

/// Error text for deduplication with several pods.
pub(crate) const ONE_REPLICA: &str =
    "sources[].deduplicate needs one replica and no autoscaling: each pod knows only what it accepted itself";

/// Error text for `verify.clientCertificate` without `listener.tls.clientCa`.
pub(crate) const NO_CLIENT_CA: &str = "sources[].verify.clientCertificate needs listener.tls.clientCa: without it no client certificate can be verified";

/// Error text for a header that no source may keep.
pub(crate) const NEVER_KEPT: &str =
    "must not be a header of the connection or one that proves the sender: these are never forwarded";

/// Error text for `verify.clientCertificate` with an `httpRoute`.
pub(crate) const NO_CERTIFICATE_BEHIND_A_GATEWAY: &str = "httpRoute cannot be combined with verify.clientCertificate: the Gateway ends TLS and passes no client certificate on";

/// A kind of sender, with its path and its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Source {
    /// Name of the source, unique in this relay. It appears in metrics, in `/status` and in `{source}` of a
    /// destination's header.
    pub name: Name,
    /// Exact path of the requests of this source, without the query; unique in this relay. A trailing slash makes it
    /// another path.
    pub path: RequestPath,
    /// Proof that a sender must give. Needs exactly one of its fields. A request without a valid proof is answered
    /// with 401 and not stored.
    pub verify: Verify,
    /// Address ranges (CIDR) from which senders may connect, in addition to the proof, for example
    /// `["192.0.2.0/24"]`. Other senders get 401. Absent: any address. Behind a proxy the relay sees the proxy's
    /// address unless `spec.listener.trustedProxies` lists the proxy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    #[schemars(transform = each(json!([{ "rule": "isCIDR(self)", "message": Cidr::FORMAT.error_text }])))]
    pub allow_from: Vec<Cidr>,
    /// Suppresses repeats: an event whose id was already accepted within `window` is answered with 2xx but not
    /// delivered again. Needs `replicas: 1` and no `autoscaling`. Absent: repeats are delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deduplicate: Option<Deduplicate>,
    /// Priority of its events that no rule classifies: `Critical`, `Major`, `Minor` or `Informational`. Default `Minor`.
    #[serde(default)]
    pub priority: Priority,
    /// Exceptions from the rule which request headers are stored with the event and forwarded. Absent: all headers
    /// except those of the connection, of proxies, of proofs and credentials, and those that control how a server
    /// handles a request; the table is in docs/sources.md.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_headers: Option<ForwardHeaders>,
}

/// Exceptions from the rule which request headers are stored with the event and forwarded. Names are compared without
/// regard to case. A name in both lists is not forwarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ForwardHeaders {
    /// Names of headers that are forwarded although they are left out by default, for example `x-forwarded-for`.
    /// Headers of the connection and headers that prove the sender cannot be listed. A destination may trust such a
    /// header, but a sender can write anything into a header that its `verify` does not sign. Absent: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    #[schemars(transform = each(json!([{ "rule": headers::may_be_allowed(), "message": NEVER_KEPT }])))]
    pub allow: Vec<HeaderName>,
    /// Names of headers that are not forwarded although they are by default, for example `x-internal-note`. Absent:
    /// none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub deny: Vec<HeaderName>,
}

/// Rule for repeats: an event with an id that the same source accepted before is a repeat. It is answered with 2xx
/// and not delivered again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Deduplicate {
    /// Duration for which an id is remembered. Default 24h. At most 1,000,000 ids are remembered (fewer with a spool
    /// below 2Gi); the oldest are forgotten first.
    #[serde(default = "window")]
    #[schemars(extend("x-kubernetes-validations" = bounds::DEDUPLICATE_WINDOW.rules()))]
    pub window: GoDuration,
    /// Place of the event's id: a header such as `headers['x-request-id']`, or a field of the JSON body such as
    /// `body.event.id`. Absent: where the provider puts its delivery id (table in docs/sources.md). An event without
    /// an id is never a repeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<IdExpression>,
}

/// A reference to one key of a Secret in the resource's namespace. Outside a cluster: the file `<name>/<key>` in the
/// secrets folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SecretRef {
    /// `metadata.name` of the Secret, in the resource's namespace. Outside a cluster: a folder in the secrets folder.
    pub name: SecretName,
    /// Key in the Secret's `data`. Outside a cluster: the name of the file. One newline at the end of the value is
    /// ignored.
    pub key: SecretKey,
}

fn window() -> GoDuration {
    GoDuration::from("24h")
}
