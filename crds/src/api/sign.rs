//! Signatures of the requests to a destination.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::signed_header::time_is_signed;
use super::{SecretRef, SignedHeader, exactly_one};

/// The objects of which [`Sign`] holds exactly one.
pub(crate) const WAYS: &[&str] = &["hmac", "standardWebhooks"];

/// Signature of each request: exactly one of these fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = exactly_one(WAYS)))]
pub struct Sign {
    /// An HMAC in a header of your choice. The fields are those of a source's `verify.hmac`, so that one relay can
    /// verify what another signs. The signed time is that of the attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hmac: Option<SignHmac>,
    /// A Standard Webhooks signature in `webhook-signature`: v1 with a secret `whsec_...`, v1a with a private key
    /// `whsk_...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_webhooks: Option<SignStandardWebhooks>,
}

/// Secrets of a Standard Webhooks signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SignStandardWebhooks {
    /// Keys of Secrets to sign with. Each one adds a signature; list two while you replace one.
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
    /// Key of the Secret to sign with. Only one, because the header holds one signature; while you replace it, the
    /// receiver must accept both.
    #[schemars(length(min = 1, max = 1), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name", "key"],
    ))]
    pub secret_refs: Vec<SecretRef>,
    /// Header and content of the signature.
    #[serde(flatten)]
    pub signature: SignedHeader,
}
