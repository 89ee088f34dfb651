//! The authorities of one resource: one, and for the last third of its life the next one beside it.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use visnyk_runtime::pki::{Authority, CLOCK_SKEW, LEAF_LIFE, Trust};

use super::CannotIssue;
use crate::children::SecretData;
use crate::children::certificate_event::CertificateEvent;

/// Time for which a new authority is published before it signs, if another can: longer than any mount lags.
const SPREADING: SignedDuration = SignedDuration::from_hours(48);
/// Remaining life of an old authority below which even a short certificate of it is worth less than that wait.
const MIN_LEFT: SignedDuration = SignedDuration::from_hours(72);

/// The authorities of one resource, the oldest first. Never empty.
#[derive(Debug)]
pub struct Authorities {
    list: Vec<Authority>,
}

impl Authorities {
    /// Decides on the authorities: those that the Secret holds and that have not expired, and a new one where none is
    /// left or the last has lived two thirds of its life. `published` tells a loss from a beginning.
    pub fn decide(
        secret: Option<&SecretData>,
        published: Option<&str>,
        now: Timestamp,
    ) -> Result<(Self, Vec<CertificateEvent>), CannotIssue> {
        let mut list = secret.map(|secret| usable(secret, now)).unwrap_or_default();
        let mut events = Vec::new();
        if list.iter().all(|authority| authority.facts().renew_at() <= now) {
            events.push(match (list.is_empty(), published) {
                (false, _) => CertificateEvent::NextAuthority,
                (true, Some(_)) => CertificateEvent::LostAuthority,
                (true, None) => CertificateEvent::FirstAuthority,
            });
            list.push(Authority::make(now)?);
        }
        Ok((Self::by_age(list), events))
    }

    /// Returns the authorities that the Secret holds and that have not expired; absent where there is none.
    pub fn kept(secret: &SecretData, now: Timestamp) -> Option<Self> {
        let list = usable(secret, now);
        (!list.is_empty()).then(|| Self::by_age(list))
    }

    fn by_age(mut list: Vec<Authority>) -> Self {
        list.sort_by_key(|authority| authority.facts().not_before);
        Self { list }
    }

    /// Returns the content of the Secret: a certificate and a key for each, by the time it was made.
    pub fn secret(&self) -> SecretData {
        let pairs = self.list.iter().flat_map(|authority| {
            let name = authority.facts().not_before.as_second();
            let pem = authority.pem();
            [(format!("{name}.crt"), pem.certificate().into()), (format!("{name}.key"), pem.key().into())]
        });
        pairs.collect()
    }

    /// Returns the certificates to trust, as PEM.
    pub fn bundle(&self) -> String {
        self.list.iter().fold(String::new(), |mut bundle, authority| {
            // Writing to a String cannot fail.
            let _ = write!(bundle, "{}", authority.pem().certificate());
            bundle
        })
    }

    /// Returns the certificates to trust, in a form that can verify others.
    pub fn trust(&self) -> Option<Trust> {
        Trust::in_bundle(self.bundle().as_bytes()).ok()
    }

    /// Returns the authority that signs now: the oldest that outlives what it signs. One that was only just made signs
    /// only where no other can.
    pub fn signer(&self, now: Timestamp) -> &Authority {
        let left = |authority: &Authority| authority.facts().not_after.duration_since(now);
        let is_known = |authority: &&Authority| {
            now.duration_since(authority.facts().not_before) >= CLOCK_SKEW + SPREADING
        };
        let known = || self.list.iter().filter(is_known);
        known()
            .find(|authority| left(authority) >= LEAF_LIFE)
            .or_else(|| known().filter(|authority| left(authority) >= MIN_LEFT).max_by_key(|it| left(it)))
            .or_else(|| self.list.iter().max_by_key(|it| left(it)))
            .expect("there is always one")
    }

    /// Returns the time at which the next one has to be made or an expired one goes.
    pub fn look_again(&self, now: Timestamp) -> Timestamp {
        let next = self.list.iter().map(|authority| authority.facts().renew_at()).max();
        let ends = self.list.iter().map(|authority| authority.facts().not_after);
        ends.chain(next).filter(|time| *time > now).min().unwrap_or(now)
    }
}

/// Returns the pairs of a Secret that are ours, whole, and have not expired; what is damaged is left out.
fn usable(secret: &SecretData, now: Timestamp) -> Vec<Authority> {
    let names = secret.keys().filter_map(|key| key.strip_suffix(".crt"));
    let pair = |name: &str| {
        Authority::parse(secret.get(&format!("{name}.crt"))?, secret.get(&format!("{name}.key"))?)
    };
    names.filter_map(pair).filter(|authority| authority.facts().not_after > now).collect()
}
