//! One certificate: kept for as long as every client would accept it, and renewed in time.

use jiff::Timestamp;
use visnyk_runtime::pki::{CertificateAndKey, Facts, Purpose};

use super::Authorities;
use crate::children::certificate_event::Why;

/// A certificate in its wanted state.
pub struct Leaf {
    /// Certificate with its key.
    pub issued: CertificateAndKey,
    /// Reason that it was made just now; absent: it was there.
    pub why: Option<Why>,
    /// Time at which it has to be made anew.
    pub renew_at: Timestamp,
    /// Time at which it expires.
    pub not_after: Timestamp,
}

impl Leaf {
    /// Returns the existing one if it is good, else a new one.
    pub(super) fn decide(
        existing: Option<CertificateAndKey>,
        purpose: &Purpose,
        authorities: &Authorities,
        now: Timestamp,
    ) -> Result<Self, rcgen::Error> {
        let why = match existing {
            None => Why::Missing,
            Some(issued) => match judge(&issued, purpose, authorities, now) {
                Ok(()) => return Ok(Self::new(issued, None)),
                Err(why) => why,
            },
        };
        let issued = authorities.signer(now).issue(purpose, now)?;
        Ok(Self::new(issued, Some(why)))
    }

    fn new(issued: CertificateAndKey, why: Option<Why>) -> Self {
        let (renew_at, not_after) = (issued.facts().renew_at(), issued.facts().not_after);
        Self { issued, why, renew_at, not_after }
    }
}

/// Returns the reason why a certificate cannot stay.
fn judge(
    issued: &CertificateAndKey,
    purpose: &Purpose,
    authorities: &Authorities,
    now: Timestamp,
) -> Result<(), Why> {
    let (pem, facts) = (issued.certificate().as_bytes(), issued.facts());
    if !is_for(facts, purpose) {
        return Err(Why::Names);
    }
    if !authorities.trust().is_some_and(|trust| trust.believes(pem, purpose, now)) {
        return Err(Why::Distrusted);
    }
    if facts.renew_at() <= now { Err(Why::Age) } else { Ok(()) }
}

/// Returns whether a certificate is for exactly these names.
fn is_for(facts: &Facts, purpose: &Purpose) -> bool {
    match purpose {
        Purpose::Server { names, addresses } => {
            facts.dns_names.iter().eq(names.iter().collect::<std::collections::BTreeSet<_>>())
                && facts.addresses == addresses.iter().copied().collect()
                && facts.uris.is_empty()
        }
        Purpose::Sender(sender) => {
            facts.uris == [sender.uri()].into() && facts.dns_names.is_empty() && facts.addresses.is_empty()
        }
    }
}
