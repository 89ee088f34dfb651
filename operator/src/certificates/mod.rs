//! A resource's own authority and certificate: what its Secrets hold is read here, [`crate::certificates::trust`]
//! decides, and what they are to hold becomes children like any other.

pub mod trust;

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use serde_json::json;
use visnyk_crds::contract::paths;
use visnyk_crds::valid::ListenerTls;
use visnyk_runtime::pki::Facts;

use crate::apply::Verified;
use crate::certificates::trust::{BUNDLE, CERTIFICATE, Found, Wanted, decide};
use crate::children::certificate_event::CertificateEvent;
use crate::children::child::{Child, Kind};
use crate::children::meta::{Owner, Role};
use crate::children::{Mount, SecretData, dns_names, pod_names};
use crate::cluster::live_children::LiveChildren;
use crate::error::Error;

/// Content of a resource's Secrets and ConfigMap with certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredCertificates {
    /// Content of the Secret with the authorities.
    pub authorities: Option<SecretData>,
    /// Certificates of the authorities that clients were told to trust, as PEM.
    pub published: Option<String>,
    /// Content of the Secret that its pods mount.
    pub server: Option<SecretData>,
}

/// Returns the name of the Secret with the authorities of a resource, and of the ConfigMap with their certificates.
pub fn authorities_name(role: Role, name: &str) -> String {
    format!("{name}-{}-ca", role.suffix())
}

/// Reads what there is of it.
pub async fn fetch(live: &LiveChildren<'_>) -> Result<StoredCertificates, Error> {
    let Owner { role, name, .. } = live.owner;
    let (authority, certificate) = (authorities_name(*role, name), live.owner.child("tls"));
    let (authorities, published, server) =
        tokio::join!(live.secret(&authority), live.config_map(&authority), live.secret(&certificate),);
    // Of several refusals always the same is told.
    let (authorities, published, server) = (authorities?, published?, server?);
    let bundle = published.and_then(|map| map.data?.remove(BUNDLE));
    Ok(StoredCertificates { authorities, published: bundle, server })
}

/// Returns the names of a certificate by the resource's own authority, besides the Service's; nothing where it shows
/// none.
pub fn own_names(tls: &ListenerTls) -> Option<&[String]> {
    match tls {
        ListenerTls::SelfSigned { dns_names } => Some(dns_names),
        ListenerTls::Secret { .. } | ListenerTls::None => None,
    }
}

/// Decides on a resource's trust. `further` are names of its server besides those of its Service; without any
/// list it shows no certificate of ours.
pub fn wanted(
    owner: &Owner,
    kept: &StoredCertificates,
    further: Option<&[String]>,
    now: Timestamp,
) -> Result<Wanted, Error> {
    let names = further.map(|further| names(owner, further)).unwrap_or_default();
    let found = Found {
        authorities: kept.authorities.as_ref(),
        published: kept.published.as_deref(),
        server: kept.server.as_ref(),
    };
    decide(found, &names, now)
        .map_err(|source| Error::Write { what: "a certificate", source: Box::new(source) })
}

/// Returns every name once: the Service's, those of the pods, however many there are, `localhost`, and those of the
/// spec.
fn names(owner: &Owner, further: &[String]) -> Vec<String> {
    let mut names = [dns_names(owner), pod_names(owner), vec!["localhost".to_owned()]].concat();
    let more: Vec<String> = further.iter().filter(|name| !names.contains(name)).cloned().collect();
    names.extend(more);
    names
}

/// Returns the children that hold them: a Secret with the authorities that no pod mounts, a ConfigMap with their
/// certificates for clients, and a Secret for the pods.
pub fn children(owner: &Owner, wanted: &Wanted) -> [Child; 3] {
    let secret = |name: &str, data: SecretData| {
        let data: BTreeMap<String, ByteString> =
            data.into_iter().map(|(key, value)| (key, ByteString(value))).collect();
        Child::new(owner, Kind::Secret, name, json!({ "type": "Opaque", "data": data }))
    };
    let authorities = authorities_name(owner.role, &owner.name);
    let bundle = json!({ "data": { BUNDLE: wanted.authorities.bundle() } });
    let (of_server, of_authorities) = wanted
        .events
        .iter()
        .copied()
        .partition(|event| matches!(event, CertificateEvent::ServerCertificate(_)));
    [
        secret(&authorities, wanted.authorities.secret()).with_news(of_authorities),
        Child::new(owner, Kind::ConfigMap, authorities, bundle),
        secret(&owner.child("tls"), wanted.server.clone()).with_news(of_server),
    ]
}

/// State of a resource's own certificate after an apply, as far as that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateState {
    /// Time at which the certificate that the pods are given expires; absent: the operator issues none.
    pub not_after: Option<Timestamp>,
    /// Time of the next look; an earlier one does no harm.
    pub look_again: Timestamp,
}

/// Returns the state. The wanted certificate counts once its Secret is written; until then the one that was found does.
pub fn state(
    verified: &Verified,
    owner: &Owner,
    kept: &StoredCertificates,
    wanted: &Wanted,
) -> CertificateState {
    let [.., server] = children(owner, wanted);
    let found = || Some(Facts::of_pem(kept.server.as_ref()?.get(CERTIFICATE)?)?.not_after);
    let not_after = match wanted.not_after {
        Some(_) if !verified.is_met(owner, &server) => found(),
        not_after => not_after,
    };
    CertificateState { not_after, look_again: wanted.look_again }
}

/// Returns the mount of the Secret in the pods.
pub fn mount(owner: &Owner) -> Mount {
    Mount { volume: "tls", secret: owner.child("tls"), folder: paths::TLS_DIR }
}

#[cfg(test)]
mod tests;
