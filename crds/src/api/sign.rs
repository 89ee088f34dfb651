//! How a delivery proves who sent it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::signed_header::time_is_signed;
use super::{SecretRef, SignedHeader, exactly_one};

/// The objects of which [`Sign`] holds exactly one.
pub(crate) const WAYS: &[&str] = &["hmac", "standardWebhooks"];

/// How a delivery proves who sent it: exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = exactly_one(WAYS)))]
pub struct Sign {
    /// An HMAC in a header. The fields are those of a source's `hmac`, so that a relay can verify what a relay signs; the
    /// time is that of the attempt.
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
#[schemars(inline, extend("x-kubernetes-validations" = time_is_signed()))]
pub struct SignHmac {
    /// The secret. There is one, since the header holds one signature: while it rotates, the receiver accepts two.
    #[schemars(length(min = 1, max = 1), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name", "key"],
    ))]
    pub secret_refs: Vec<SecretRef>,
    /// What is signed, and where the signature stands.
    #[serde(flatten)]
    pub signature: SignedHeader,
}
