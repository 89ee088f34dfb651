//! Identity that a client proved with the certificate that it showed in the handshake. The handshake proved that the
//! client has the key; the authorities that are trusted at the time of a request decide whether the certificate
//! counts.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use crate::pki::{Distrust, Facts, SenderName, Trust};

/// The present CA certificates of clients; `None`: no client certificate is trusted.
pub(super) type Authorities = Arc<ArcSwapOption<Trust>>;

/// The certificate of a client: in the extensions of each of its requests, if it showed one. By itself it proves
/// nothing.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    shown: Arc<Shown>,
}

#[derive(Debug)]
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    facts: Facts,
    authorities: Authorities,
    /// Judgement by the latest authorities: each is asked once, not with each request.
    judged: Mutex<Option<Judged>>,
}

#[derive(Debug)]
struct Judged {
    by: Arc<Trust>,
    verdict: Result<(), Distrust>,
}

impl ClientCertificate {
    /// Takes the certificate of the chain that a handshake ended with.
    pub(super) fn of(chain: &[CertificateDer<'_>], authorities: Authorities) -> Option<Self> {
        let facts = Facts::of(chain.first()?)?;
        let chain = chain.iter().map(|one| one.clone().into_owned()).collect();
        let shown = Shown { chain, facts, authorities, judged: Mutex::default() };
        Some(Self { shown: Arc::new(shown) })
    }

    /// Returns the content of the certificate, if an authority that is trusted now vouches for it and it has not
    /// expired: a connection that stays open can outlive it.
    pub fn proven(&self, now: Timestamp) -> Result<&Facts, Distrust> {
        let Shown { chain, facts, authorities, judged } = &*self.shown;
        if now > facts.not_after {
            return Err(Distrust::Time);
        }
        let trust = authorities.load_full().ok_or(Distrust::Authority)?;
        let mut judged = judged.lock().unwrap_or_else(PoisonError::into_inner);
        let known = judged.as_ref().filter(|judged| Arc::ptr_eq(&judged.by, &trust));
        let verdict = known.map_or_else(|| trust.judge(chain, now), |judged| judged.verdict);
        *judged = Some(Judged { by: trust, verdict });
        verdict.map(|()| facts)
    }

    /// Returns the relay that the certificate proves its client to be; none for a certificate of anything else.
    pub fn sender(&self, now: Timestamp) -> Option<SenderName> {
        let mut senders = self.proven(now).ok()?.uris.iter().map(|uri| SenderName::parse(uri));
        // A certificate of two would be of neither.
        senders.next().filter(|_| senders.next().is_none())?
    }
}
