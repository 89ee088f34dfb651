//! Where requests come in; the same for both kinds but for the usual port.

use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Aloud, SecretRef, each, exactly_one};
use crate::bounds;
use crate::contract::HEALTH_PORT;
use crate::text::{Cidr, DnsName, KindName, ObjectName, Quantity, SecretName};

/// The objects of which [`Tls`] holds exactly one.
pub(crate) const TLS: &[&str] = &["selfSigned", "secretName", "certManager", "none"];

/// What is wrong with certificates of clients where nobody shows one.
pub(crate) const CLIENT_CA_BY_TLS: &str = "clientCa needs TLS: in plain HTTP nobody shows a certificate";

/// What is wrong with an address among the DNS names.
pub(crate) const NO_ADDRESS: &str = "must be a name, not an address";

/// What is wrong with a listener on the health port.
pub(crate) const HEALTH_PORT_TAKEN: &str = "8081 is the port of probes, metrics and status";

/// Where requests come in. `PORT` is the port where none is given, `T` how TLS is spoken there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Listener<const PORT: u16, T = Tls> {
    /// TCP port. 8081 is taken by probes, metrics and status.
    #[serde(default = "usual_port::<PORT>")]
    #[schemars(range(min = 1, max = 65535), extend("x-kubernetes-validations" = [{
        "rule": format!("self != {HEALTH_PORT}"), "message": HEALTH_PORT_TAKEN,
    }]))]
    pub port: u16,
    /// Largest request body; a larger one is refused with 413.
    #[serde(default = "max_body_size")]
    #[schemars(extend("x-kubernetes-validations" = bounds::MAX_BODY_SIZE.rules()))]
    pub max_body_size: Quantity,
    /// Who the server proves to be: exactly one of `selfSigned`, `secretName`, `certManager`, `none`.
    pub tls: T,
}

/// Where senders connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct RelayListener {
    /// What every listener has.
    #[serde(flatten)]
    pub listener: Listener<8443, RelayTls>,
    /// Ranges of proxies that say, by `X-Forwarded-For`, who sends; absent: none is believed. Whoever can connect from
    /// such an address can pretend to be anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    #[schemars(transform = each(json!([{ "rule": "isCIDR(self)", "message": Cidr::FORMAT.says }])))]
    pub trusted_proxies: Vec<Cidr>,
}

impl Deref for RelayListener {
    type Target = Listener<8443, RelayTls>;

    fn deref(&self) -> &Self::Target {
        &self.listener
    }
}

/// Who the server proves to be: exactly one of `selfSigned`, `secretName`, `certManager`, `none`; and who vouches for
/// senders that prove themselves by certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = relay_tls()))]
pub struct RelayTls {
    /// Who the server proves to be.
    #[serde(flatten)]
    pub own: Tls,
    /// Who vouches for the certificates of senders: those of sources with `verify.clientCertificate`. Every sender is
    /// asked for a certificate, and none has to have one anywhere else. Absent: nobody is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<ClientCa>,
}

impl Deref for RelayTls {
    type Target = Tls;

    fn deref(&self) -> &Self::Target {
        &self.own
    }
}

/// Who vouches for the certificates of senders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ClientCa {
    /// The authorities as a PEM bundle; a new content is taken up without a restart.
    pub secret_ref: SecretRef,
}

/// Who the server proves to be: exactly one of `selfSigned`, `secretName`, `certManager`, `none`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = exactly_one(TLS)))]
pub struct Tls {
    /// A certificate from a certificate authority of its own, made on first use and renewed in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_signed: Option<SelfSigned>,
    /// The Secret that holds `tls.crt` and `tls.key`; a new content is taken up without a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<SecretName>,
    /// A certificate from cert-manager, for the Service's names. Beside a cluster: the files of the Secret
    /// `<name>-relay-certificate` or `<name>-collector-certificate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_manager: Option<CertManager>,
    /// Plain HTTP; it has to be said aloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub none: Option<Aloud>,
}

/// A certificate from a certificate authority of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SelfSigned {
    /// Names by which senders reach the server, besides `localhost` and the loopback addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "set"))]
    #[schemars(transform = each(json!([{ "rule": "!isIP(self)", "message": NO_ADDRESS }])))]
    pub dns_names: Vec<DnsName>,
}

/// A certificate from cert-manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct CertManager {
    /// Who signs it.
    pub issuer_ref: IssuerRef,
    /// Names by which senders reach the server, besides those of the Service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "set"))]
    #[schemars(transform = each(json!([{ "rule": "!isIP(self)", "message": NO_ADDRESS }])))]
    pub dns_names: Vec<DnsName>,
}

/// An issuer of cert-manager's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct IssuerRef {
    /// Its name.
    pub name: ObjectName,
    /// Its kind.
    #[serde(default = "issuer")]
    pub kind: KindName,
    /// The API group of its kind.
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
