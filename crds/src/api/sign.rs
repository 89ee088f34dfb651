//! How a delivery proves who sent it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::verify::{NO_BODY, TIME};
use super::{HmacAlgorithm, SecretRef, SignatureEncoding, exactly_one};
use crate::text::{HeaderName, HeaderPrefix, SignedPayload};

/// The objects of which [`Sign`] holds exactly one.
pub(crate) const WAYS: &[&str] = &["hmac", "standardWebhooks"];

/// How a delivery proves who sent it: exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = exactly_one(WAYS)))]
pub struct Sign {
    /// An HMAC in a header. The fields are those of a source's `hmac`, so that a relay can verify what a relay signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hmac: Option<SignHmac>,
    /// Standard Webhooks: `webhook-signature`, v1 with a secret `whsec_...`, v1a with a private key `whsk_...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_webhooks: Option<SignStandardWebhooks>,
}

/// What Standard Webhooks are signed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SignStandardWebhooks {
    /// Each makes a signature of its own; several while one replaces another.
    #[schemars(length(min = 1, max = 8), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name", "key"],
    ))]
    pub secret_refs: Vec<SecretRef>,
}

/// An HMAC in a header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = [{
    "rule": "has(self.timestampHeader) == self.payload.contains('{timestamp}')",
    "message": TIME,
}]))]
pub struct SignHmac {
    /// The secret. There is one, since the header holds one signature: while it rotates, the receiver accepts two.
    #[schemars(length(min = 1, max = 1), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name", "key"],
    ))]
    pub secret_refs: Vec<SecretRef>,
    /// The header that holds the signature.
    pub header: HeaderName,
    /// The hash function.
    #[serde(default)]
    pub algorithm: HmacAlgorithm,
    /// How the signature is written.
    #[serde(default)]
    pub encoding: SignatureEncoding,
    /// What stands before the signature in its header; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<HeaderPrefix>,
    /// What is signed: text with `{body}` for the body's bytes, and `{timestamp}` for the text of the timestamp
    /// header.
    #[serde(default = "super::verify::whole_body")]
    #[schemars(extend("x-kubernetes-validations" = json!([
        { "rule": "self.split('{body}').size() == 2", "message": NO_BODY },
    ])))]
    pub payload: SignedPayload,
    /// The header that holds the time of the attempt, in seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_header: Option<HeaderName>,
}
