//! Who may send.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Verify, each};
use crate::bounds;
use crate::headers;
use crate::text::{Cidr, GoDuration, HeaderName, IdExpression, Name, RequestPath, SecretKey, SecretName};

/// What is wrong with deduplication by several pods.
pub(crate) const ONE_REPLICA: &str =
    "sources[].deduplicate needs one replica and no autoscaling: each pod knows only what it accepted itself";

/// What is wrong with senders that prove themselves by certificate where nobody vouches for them.
pub(crate) const NO_CLIENT_CA: &str =
    "sources[].verify.clientCertificate needs listener.tls.clientCa: somebody has to vouch for certificates";

/// What is wrong with a header that no source may keep.
pub(crate) const NEVER_KEPT: &str = "belongs to the connection or proves the sender, and is never forwarded";

/// What is wrong with the same senders behind a Gateway.
pub(crate) const NO_CERTIFICATE_BEHIND_A_GATEWAY: &str = "httpRoute ends TLS at the Gateway: a source with verify.clientCertificate could let nobody in through it";

/// One kind of sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Source {
    /// Unique in this relay.
    pub name: Name,
    /// The exact path of its requests; a query is no part of it. Unique in this relay.
    pub path: RequestPath,
    /// How a sender proves who it is: exactly one of these.
    pub verify: Verify,
    /// Ranges that senders must be in, beside the proof. Absent: all. Behind a proxy the sender's address is known
    /// only with `spec.listener.trustedProxies`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    #[schemars(transform = each(json!([{ "rule": "isCIDR(self)", "message": Cidr::FORMAT.says }])))]
    pub allow_from: Vec<Cidr>,
    /// Whether an event that is sent again is delivered again; absent: it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deduplicate: Option<Deduplicate>,
    /// Exceptions to which headers of a request are stored with its event and forwarded. Absent: all but those of the
    /// connection, of proxies, of proofs and credentials, and those that steer how a server handles a request; the table is
    /// in docs/sources.md.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_headers: Option<ForwardHeaders>,
}

/// Exceptions to which headers of a request are stored with its event and forwarded. Names are compared without regard to
/// the case of letters. A name in both lists is not forwarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ForwardHeaders {
    /// Headers that are forwarded although they are left out by default, such as `x-forwarded-for`. Absent: none. Headers of
    /// the connection and headers that prove the sender cannot be allowed. A destination may believe what it gets here, and
    /// what the source's `verify` does not sign is a stranger's word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    #[schemars(transform = each(json!([{ "rule": headers::may_be_allowed(), "message": NEVER_KEPT }])))]
    pub allow: Vec<HeaderName>,
    /// Headers that are not forwarded although they are by default. Absent: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub deny: Vec<HeaderName>,
}

/// Which events are repeats: those of the same source with an id that was accepted before. A repeat is answered with
/// 2xx and not delivered again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Deduplicate {
    /// How long an id is remembered. A relay remembers a million ids at most, and forgets the oldest first.
    #[serde(default = "window")]
    #[schemars(extend("x-kubernetes-validations" = bounds::DEDUPLICATE_WINDOW.rules()))]
    pub window: GoDuration,
    /// Where the id is, such as `headers['x-request-id']` or `body.event.id`. Absent: where the provider puts its
    /// delivery id. An event without an id is no repeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<IdExpression>,
}

/// One key of a Secret in the resource's namespace. Beside a cluster: the file `<name>/<key>` in the
/// secrets folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SecretRef {
    /// Name of the Secret.
    pub name: SecretName,
    /// Key in it.
    pub key: SecretKey,
}

fn window() -> GoDuration {
    GoDuration::from("24h")
}
