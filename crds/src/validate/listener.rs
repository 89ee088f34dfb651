//! Validates the HTTP server.

use std::net::IpAddr;

use super::exactly_one;
use super::source::secret_ref;
use crate::api::{self, CertManager, SelfSigned, ServiceNames};
use crate::bounds;
use crate::contract::HEALTH_PORT;
use crate::problem::{FieldPath, Problems};
use crate::text::DnsName;
use crate::valid::{Listener, ListenerTls, SecretRef};

/// Validates a listener that asks no client for a certificate.
pub(super) fn listener<const PORT: u16, T>(
    listener: &api::Listener<PORT, T>,
    tls: &api::Tls,
    certificate: String,
    place: &FieldPath,
    problems: &mut Problems,
) -> Option<Listener> {
    let max_body_size =
        problems.note(place.field("maxBodySize"), bounds::MAX_BODY_SIZE.check(&listener.max_body_size));
    if listener.port == HEALTH_PORT {
        problems.add(place.field("port"), api::HEALTH_PORT_TAKEN);
    }
    let tls = self::tls(tls, certificate, &place.field("tls"), problems);
    Some(Listener { port: listener.port, max_body_size: max_body_size?, tls: tls?, client_ca: None })
}

/// Returns the CA certificates of clients.
pub(super) fn client_ca(
    tls: &api::RelayTls,
    place: &FieldPath,
    problems: &mut Problems,
) -> Option<SecretRef> {
    let client_ca = tls.client_ca.as_ref()?;
    if tls.none.is_some() {
        problems.add(place.clone(), api::CLIENT_CA_BY_TLS);
    }
    Some(secret_ref(&client_ca.secret_ref))
}

fn tls(
    tls: &api::Tls,
    certificate: String,
    place: &FieldPath,
    problems: &mut Problems,
) -> Option<ListenerTls> {
    if let Some(SelfSigned { dns_names }) = &tls.self_signed {
        no_addresses(dns_names, &place.field("selfSigned"), problems);
    }
    if let Some(CertManager { dns_names, service_names, .. }) = &tls.cert_manager {
        let place = place.field("certManager");
        no_addresses(dns_names, &place, problems);
        if *service_names == ServiceNames::Omit && dns_names.is_empty() {
            problems.add(place, api::NEEDS_A_NAME);
        }
    }
    let self_signed = tls.self_signed.as_ref().map(|self_signed| ListenerTls::SelfSigned {
        dns_names: self_signed.dns_names.iter().map(ToString::to_string).collect(),
    });
    let secret = tls.secret_name.as_ref().map(|name| ListenerTls::Secret { name: name.to_string() });
    // cert-manager writes a Secret, and so it is one of those.
    let cert_manager = tls.cert_manager.as_ref().map(|_| ListenerTls::Secret { name: certificate });
    let none = tls.none.as_ref().map(|_| ListenerTls::None);
    exactly_one(api::TLS, [self_signed, secret, cert_manager, none], place, problems)
}

fn no_addresses(dns_names: &[DnsName], place: &FieldPath, problems: &mut Problems) {
    for (index, name) in dns_names.iter().enumerate() {
        if name.parse::<IpAddr>().is_ok() {
            problems.add(place.field("dnsNames").item(index), api::NO_ADDRESS);
        }
    }
}
