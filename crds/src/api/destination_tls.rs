//! Whom a destination has to prove to be, and who the relay proves to be there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretRef;
use crate::text::{HostName, Pin, SecretName};

/// What is wrong with TLS where none is spoken, or where the operator sees to it.
pub(crate) const NO_TLS_HERE: &str = "tls is for a url that begins with https://";
/// The same, as a CEL rule.
pub(crate) const TLS_RULE: &str = "!has(self.tls) || (has(self.url) && self.url.startsWith('https://'))";

/// Whom the destination has to prove to be, and who the relay proves to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct DestinationTls {
    /// The authorities that may vouch for it, as PEM; absent: the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_ref: Option<SecretRef>,
    /// Base64 of the SHA-256 of the public keys that its certificate may have, beside being vouched for: the
    /// current one and the next. Absent: any key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub pin_sha256: Vec<Pin>,
    /// The certificate that the relay shows; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_ref: Option<CertificateRef>,
    /// The name that its certificate has to be for; absent: the host of `url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<HostName>,
}

/// A Secret with a certificate chain, `tls.crt`, and its key, `tls.key`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct CertificateRef {
    /// Name of the Secret.
    pub name: SecretName,
}
