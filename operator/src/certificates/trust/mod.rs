//! The authority of each resource, the certificates it issues, and the time at which each of them is made anew. Pure:
//! the content of Secrets goes in, their new content and the time of the next look come out.
//!
//! An authority lives ten years. At two thirds of its life the next one is made and published beside it; it
//! signs only once the old one could no longer outlive what it signs. A client with `ca.crt` has years to
//! fetch it again, and no handshake depends on how fast a new bundle spreads. Deleting the Secret revokes: the
//! lost authority leaves the bundle at once.

mod authorities;
mod leaf;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use visnyk_runtime::pki::{CertificateAndKey, Purpose, SenderName};

use crate::children::SecretData;
use crate::children::certificate_event::CertificateEvent;

pub use authorities::Authorities;
pub use leaf::Leaf;
pub use visnyk_crds::contract::paths::{AUTHORITIES as BUNDLE, CERTIFICATE, KEY};

/// Loopback addresses, which every server certificate contains because `kubectl port-forward` connects to them.
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Error of a certificate that cannot be issued.
#[derive(Debug, thiserror::Error)]
#[error("certificate cannot be made")]
pub struct CannotIssue(#[from] rcgen::Error);

/// Certificates of one resource, as they are stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found<'a> {
    /// The Secret with its authorities, which no pod mounts.
    pub authorities: Option<&'a SecretData>,
    /// The published bundle of CA certificates, from the ConfigMap.
    pub published: Option<&'a str>,
    /// The Secret that its pods mount.
    pub server: Option<&'a SecretData>,
}

/// Certificates of one resource, as they should be.
#[derive(Debug)]
pub struct Wanted {
    /// Authorities of the resource, which issue further certificates.
    pub authorities: Authorities,
    /// The Secret that its pods mount.
    pub server: SecretData,
    /// Time of the next look; an earlier one does no harm.
    pub look_again: Timestamp,
    /// Time at which the server's certificate expires; absent: the operator issues none.
    pub not_after: Option<Timestamp>,
    /// Events about certificates that a user should know.
    pub events: Vec<CertificateEvent>,
}

/// Decides on the trust of one resource. `names` are those of its server; empty where it shows no certificate
/// of ours.
pub fn decide(found: Found<'_>, names: &[String], now: Timestamp) -> Result<Wanted, CannotIssue> {
    let (authorities, mut events) = Authorities::decide(found.authorities, found.published, now)?;
    let mut server = SecretData::from([(BUNDLE.to_owned(), authorities.bundle().into_bytes())]);
    let mut look_again = authorities.look_again(now);
    let mut not_after = None;
    if !names.is_empty() {
        let purpose = Purpose::Server { names: names.to_vec(), addresses: LOOPBACK.to_vec() };
        let leaf = Leaf::decide(found.server.and_then(|data| issued(data, "")), &purpose, &authorities, now)?;
        look_again = look_again.min(leaf.renew_at);
        not_after = Some(leaf.not_after);
        events.extend(leaf.why.map(CertificateEvent::ServerCertificate));
        insert(&mut server, "", &leaf.issued);
    }
    Ok(Wanted { authorities, server, look_again, not_after, events })
}

/// Decides on what a relay shows to a Collector. `prefix` is what its files in `peers` begin with.
pub fn decide_sender(
    peers: Option<&SecretData>,
    prefix: &str,
    sender: &SenderName,
    collector: &Authorities,
    now: Timestamp,
) -> Result<Leaf, CannotIssue> {
    let existing = peers.and_then(|data| issued(data, prefix));
    Ok(Leaf::decide(existing, &Purpose::Sender(sender.clone()), collector, now)?)
}

/// Puts a certificate and its key into a Secret.
pub fn insert(data: &mut SecretData, prefix: &str, issued: &CertificateAndKey) {
    data.insert(format!("{prefix}{CERTIFICATE}"), issued.certificate().into());
    data.insert(format!("{prefix}{KEY}"), issued.key().into());
}

/// Returns the certificate and key of a Secret; absent where one is missing or no text, or they do not belong together.
fn issued(data: &SecretData, prefix: &str) -> Option<CertificateAndKey> {
    let text = |key: &str| std::str::from_utf8(data.get(&format!("{prefix}{key}"))?).ok();
    CertificateAndKey::parse(text(CERTIFICATE)?.as_bytes(), text(KEY)?.as_bytes()).ok()
}

#[cfg(test)]
mod tests;
