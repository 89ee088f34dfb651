//! TLS settings of the connection to a destination.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretRef;
use crate::text::{HostName, Pin, SecretName};

/// Error text for `tls` where no TLS is spoken, or where the operator sets it up.
pub(crate) const NO_TLS_HERE: &str = "tls needs a url that begins with https://";
/// The same rule in CEL.
pub(crate) const TLS_RULE: &str = "!has(self.tls) || (has(self.url) && self.url.startsWith('https://'))";

/// TLS settings of the connection to a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct DestinationTls {
    /// Key of a Secret with the CA certificates (PEM) used to verify the destination. They replace the system's CAs.
    /// Absent: the system's CAs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_ref: Option<SecretRef>,
    /// SHA-256 hashes of public keys (SPKI), in base64. The destination's certificate must have one of these keys, in
    /// addition to being signed by a trusted CA. List the current key and the next. Absent: any key is accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub pin_sha256: Vec<Pin>,
    /// Secret with the client certificate that the relay presents (mutual TLS). Absent: none is presented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_ref: Option<CertificateRef>,
    /// DNS name for which the destination's certificate must be valid; it is also sent as SNI. Absent: the host of
    /// `url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<HostName>,
}

/// A reference to a Secret with a certificate chain (`tls.crt`) and key (`tls.key`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct CertificateRef {
    /// Name of the Secret, which has the keys `tls.crt` and `tls.key`, both PEM.
    pub name: SecretName,
}
