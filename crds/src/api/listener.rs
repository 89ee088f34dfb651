//! The HTTP server of both kinds. Only the default port differs.

use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Explicit, SecretRef, each, exactly_one};
use crate::bounds;
use crate::contract::HEALTH_PORT;
use crate::text::{Cidr, DnsName, KindName, ObjectName, Quantity, SecretName};

/// The objects of which [`Tls`] holds exactly one.
pub(crate) const TLS: &[&str] = &["selfSigned", "secretName", "certManager", "none"];

/// Error text for `clientCa` without TLS.
pub(crate) const CLIENT_CA_BY_TLS: &str = "clientCa needs TLS: plain HTTP has no client certificates";

/// Error text for an IP address among the DNS names.
pub(crate) const NO_ADDRESS: &str = "must be a name, not an address";

/// Error text for a certificate without any name.
pub(crate) const NEEDS_A_NAME: &str = "serviceNames: Omit needs dnsNames: the certificate would have no name";

/// Error text for a listener on the health port.
pub(crate) const HEALTH_PORT_TAKEN: &str = "must not be 8081, the port of probes, metrics and status";

/// Settings of the HTTP server. `PORT` is the default port, `T` the type of the TLS settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Listener<const PORT: u16, T = Tls> {
    /// TCP port on which the process listens, and the port of the container. Default 8443 for a relay, 8080 for a
    /// collector. 8081 is refused: it is the port of probes, metrics and status. The port of the Service is
    /// `spec.service.port`.
    #[serde(default = "usual_port::<PORT>")]
    #[schemars(range(min = 1, max = 65535), extend("x-kubernetes-validations" = [{
        "rule": format!("self != {HEALTH_PORT}"), "message": HEALTH_PORT_TAKEN,
    }]))]
    pub port: u16,
    /// Maximum size of a request body. A larger one is refused with 413. Default 1Mi. A relay's spool must be large
    /// enough for it: 8Mi need a spool of 86Mi, 32Mi need 342Mi.
    #[serde(default = "max_body_size")]
    #[schemars(extend("x-kubernetes-validations" = bounds::MAX_BODY_SIZE.rules()))]
    pub max_body_size: Quantity,
    /// The server's certificate. Needs exactly one of `selfSigned`, `secretName`, `certManager`, `none`.
    pub tls: T,
}

/// The HTTP server to which senders connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct RelayListener {
    /// Settings that both kinds have.
    #[serde(flatten)]
    pub listener: Listener<8443, RelayTls>,
    /// Address ranges (CIDR) of proxies whose header `X-Forwarded-For` is trusted to name the sender's address, for
    /// `allowFrom`. Anyone who can connect from such an address can pretend to have any address. Absent: the header
    /// is ignored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    #[schemars(transform = each(json!([{ "rule": "isCIDR(self)", "message": Cidr::FORMAT.error_text }])))]
    pub trusted_proxies: Vec<Cidr>,
}

impl Deref for RelayListener {
    type Target = Listener<8443, RelayTls>;

    fn deref(&self) -> &Self::Target {
        &self.listener
    }
}

/// The server's certificate (exactly one of `selfSigned`, `secretName`, `certManager`, `none`), and the CAs of client
/// certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = relay_tls()))]
pub struct RelayTls {
    /// The server's certificate.
    #[serde(flatten)]
    pub own: Tls,
    /// CA certificates for client certificates. The TLS handshake asks every client for a certificate but does not
    /// require one; a request is refused only on paths whose source uses `verify.clientCertificate`. Absent: no
    /// client is asked. Cannot be combined with `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<ClientCa>,
}

impl Deref for RelayTls {
    type Target = Tls;

    fn deref(&self) -> &Self::Target {
        &self.own
    }
}

/// CA certificates for client certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ClientCa {
    /// Key of a Secret that holds the CA certificates, as a PEM bundle. Changes are picked up without a restart.
    pub secret_ref: SecretRef,
}

/// The server's certificate: exactly one of `selfSigned`, `secretName`, `certManager`, `none`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = exactly_one(TLS)))]
pub struct Tls {
    /// A certificate from a CA that is created for this resource, and renewed automatically. Senders must trust that
    /// CA: ConfigMap `<name>-relay-ca` or `<name>-collector-ca`, key `ca.crt`; outside a cluster `tls/ca.crt` in the
    /// data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_signed: Option<SelfSigned>,
    /// Name of a Secret with your certificate chain (`tls.crt`) and key (`tls.key`), both PEM. Changes are picked up
    /// without a restart. Outside a cluster: a folder in the secrets folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<SecretName>,
    /// A certificate that cert-manager issues for the names of the Service. Outside a cluster: the files `tls.crt`
    /// and `tls.key` in the folder `<name>-relay-certificate` or `<name>-collector-certificate` of the secrets
    /// folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_manager: Option<CertManager>,
    /// Plain HTTP, without TLS. Must be set explicitly, as `none: {}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub none: Option<Explicit>,
}

/// A certificate from a CA that is created for this resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SelfSigned {
    /// Further DNS names of the certificate. It always has `localhost`; in a cluster also the names of the Service and of
    /// the pods, outside a cluster also the loopback addresses. Absent: no further names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "set"))]
    #[schemars(transform = each(json!([{ "rule": "!isIP(self)", "message": NO_ADDRESS }])))]
    pub dns_names: Vec<DnsName>,
}

/// A certificate that cert-manager issues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = [{
    "rule": "!has(self.serviceNames) || self.serviceNames != 'Omit' || (has(self.dnsNames) && size(self.dnsNames) > 0)",
    "message": NEEDS_A_NAME,
}]))]
pub struct CertManager {
    /// Reference to the issuer of cert-manager that signs the certificate.
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub issuer_ref: IssuerRef,
    /// DNS names of the certificate, beside those of the Service (see `serviceNames`). Absent: no further names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "set"))]
    #[schemars(transform = each(json!([{ "rule": "!isIP(self)", "message": NO_ADDRESS }])))]
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub dns_names: Vec<DnsName>,
    /// Names of the Service in the certificate, such as `harbour-relay.ships.svc`. `Include`: it has them beside
    /// `dnsNames`. `Omit`: it has `dnsNames` alone, as a public CA such as Let's Encrypt requires; clients in the cluster
    /// must then use one of those names, because the one in `status.url` does not match. Absent: `Include`.
    #[serde(default, skip_serializing_if = "super::is_default")]
    #[schemars(extend("x-visnyk-operator-only" = true))]
    pub service_names: ServiceNames,
}

/// Use of the Service's names in a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ServiceNames {
    /// The certificate has them.
    #[default]
    Include,
    /// The certificate does not have them.
    Omit,
}

/// A reference to an issuer of cert-manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct IssuerRef {
    /// `metadata.name` of the issuer.
    pub name: ObjectName,
    /// Kind of the issuer: `Issuer`, `ClusterIssuer` or another. Default `Issuer`, which must be in the resource's
    /// namespace.
    #[serde(default = "issuer")]
    pub kind: KindName,
    /// API group of the issuer's kind. Default `cert-manager.io`.
    #[serde(default = "cert_manager")]
    pub group: ObjectName,
}

fn relay_tls() -> Value {
    let mut rules = exactly_one(TLS);
    if let Some(rules) = rules.as_array_mut() {
        rules.push(json!({ "rule": "!has(self.clientCa) || !has(self.none)", "message": CLIENT_CA_BY_TLS }));
    }
    rules
}

fn issuer() -> KindName {
    KindName::from("Issuer")
}

fn cert_manager() -> ObjectName {
    ObjectName::from("cert-manager.io")
}

fn usual_port<const PORT: u16>() -> u16 {
    PORT
}

fn max_body_size() -> Quantity {
    Quantity::from("1Mi")
}
