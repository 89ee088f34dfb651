//! What a destination lets the relay in by.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Basic, SecretRef, exactly_one};
use crate::text::{Audience, HttpUrl, Scope};

/// The objects of which [`Authorization`] holds exactly one.
pub(crate) const WAYS: &[&str] = &["basic", "bearer", "oauth2ClientCredentials"];

/// The header `Authorization`: exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = exactly_one(WAYS)))]
pub struct Authorization {
    /// A user name and a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic: Option<Basic>,
    /// A token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer: Option<BearerToken>,
    /// A token of an OAuth 2.0 authorization server, which is fetched, kept till shortly before it ends, and
    /// fetched anew when the destination refuses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth2_client_credentials: Option<ClientCredentials>,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct BearerToken {
    /// The token.
    pub secret_ref: SecretRef,
}

/// Where a token is fetched, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ClientCredentials {
    /// Where to POST, by http or https. The destination's `network` is its too.
    pub token_url: HttpUrl,
    /// The client's name.
    pub client_id_ref: SecretRef,
    /// The client's secret.
    pub client_secret_ref: SecretRef,
    /// What is asked for; absent: what the server gives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "set"))]
    pub scopes: Vec<Scope>,
    /// For whom the token is to be, where the server wants to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// The authorities that may vouch for the server, as PEM; absent: the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_ref: Option<SecretRef>,
}
