//! Credentials that a destination requires.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Basic, SecretRef, exactly_one};
use crate::text::{Audience, HttpUrl, Scope};

/// The objects of which [`Authorization`] holds exactly one.
pub(crate) const WAYS: &[&str] = &["basic", "bearer", "oauth2ClientCredentials"];

/// Credentials in the header `Authorization`: exactly one of these fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = exactly_one(WAYS)))]
pub struct Authorization {
    /// User name and password, sent as `Authorization: Basic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic: Option<Basic>,
    /// A fixed token, sent as `Authorization: Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer: Option<BearerToken>,
    /// An access token from an OAuth 2.0 authorization server (client credentials grant), sent as `Authorization:
    /// Bearer`. The relay fetches it, reuses it until shortly before it expires, and fetches a new one when the
    /// destination answers 401.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth2_client_credentials: Option<ClientCredentials>,
}

/// A fixed token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct BearerToken {
    /// Key of a Secret that holds the token.
    pub secret_ref: SecretRef,
}

/// The token endpoint and the client's credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ClientCredentials {
    /// URL of the token endpoint, http or https. The destination's `network` and `timeout` apply to it; the
    /// destination's `tls` does not.
    pub token_url: HttpUrl,
    /// Key of a Secret that holds the client id.
    pub client_id_ref: SecretRef,
    /// Key of a Secret that holds the client secret.
    pub client_secret_ref: SecretRef,
    /// Scopes to request, for example `["events.write"]`. Absent: no `scope` is sent, and the server decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "set"))]
    pub scopes: Vec<Scope>,
    /// Audience to request, for servers that need one. Absent: no `audience` is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// CA certificates (PEM) used to verify the token endpoint. Not inherited from `tls.caRef`. Absent: the system's
    /// CAs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_ref: Option<SecretRef>,
}
