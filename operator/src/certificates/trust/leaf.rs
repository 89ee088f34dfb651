//! One certificate: kept for as long as everybody would accept it, and made anew in time.

use jiff::Timestamp;
use visnyk_runtime::pki::certificates::Pair;
use visnyk_runtime::pki::{Facts, Issued, Purpose};

use super::Authorities;
use crate::children::remark::Why;

/// A certificate as it is to be.
pub struct Leaf {
    /// Certificate with its key.
    pub issued: Issued,
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
        existing: Option<Issued>,
        purpose: &Purpose,
        authorities: &Authorities,
        now: Timestamp,
    ) -> Result<Self, rcgen::Error> {
        let why = match existing {
            None => Why::Missing,
            Some(issued) => match judge(&issued, purpose, authorities, now) {
                Ok(facts) => return Ok(Self::new(issued, &facts, None)),
                Err(why) => why,
            },
        };
        let issued = authorities.signer(now).issue(purpose, now)?;
        let facts =
            Facts::of_pem(issued.certificate.as_bytes()).ok_or(rcgen::Error::CouldNotParseCertificate)?;
        Ok(Self::new(issued, &facts, Some(why)))
    }

    fn new(issued: Issued, facts: &Facts, why: Option<Why>) -> Self {
        Self { issued, why, renew_at: facts.renew_at(), not_after: facts.not_after }
    }
}

/// Returns the facts of a certificate, if it can stay.
fn judge(
    issued: &Issued,
    purpose: &Purpose,
    authorities: &Authorities,
    now: Timestamp,
) -> Result<Facts, Why> {
    let pem = issued.certificate.as_bytes();
    Pair::parse(pem, issued.key.as_bytes()).map_err(|_| Why::Missing)?;
    let facts = Facts::of_pem(pem).ok_or(Why::Missing)?;
    if !is_for(&facts, purpose) {
        return Err(Why::Names);
    }
    if !authorities.trust().is_some_and(|trust| trust.believes(pem, purpose, now)) {
        return Err(Why::Distrusted);
    }
    if facts.renew_at() <= now { Err(Why::Age) } else { Ok(facts) }
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
