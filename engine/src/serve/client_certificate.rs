//! Who a client proved to be in the handshake, for those who decide whether to let it in.

use std::sync::Arc;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use crate::authority::{Facts, SenderName};

/// The certificate of a client: in the extensions of each of its requests, if it showed one. The handshake
/// proved that the client has its key and that a trusted authority vouches for it.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    facts: Arc<Facts>,
}

impl ClientCertificate {
    /// Of the chain that a handshake ended with.
    pub(super) fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        Some(Self { facts: Arc::new(Facts::of(chain.first()?)?) })
    }

    /// The relay that it is of; none for a certificate of anything else. None too once it has expired, which
    /// a connection that stays open or is resumed would otherwise outlive.
    pub fn sender(&self, now: Timestamp) -> Option<SenderName> {
        if now > self.facts.not_after {
            return None;
        }
        let mut senders = self.facts.uris.iter().map(|uri| SenderName::parse(uri));
        // A certificate of two would be of neither.
        senders.next().filter(|_| senders.next().is_none())?
    }
}
