//! The certificate of new connections. It changes while connections are open; these keep the one of their handshake.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::CertificateAndKey;

/// Error for a certificate that has expired, where one is shown that has not.
#[derive(Debug, thiserror::Error)]
#[error("the certificate in tls.crt has expired at {not_after}")]
pub(crate) struct Expired {
    not_after: Timestamp,
}

/// Resolver that shows each new connection the latest pair.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    current: ArcSwapOption<CertificateAndKey>,
}

impl Certificates {
    /// Shows this pair from now on, unless it has expired and the present one has not.
    pub(crate) fn install(&self, pair: CertificateAndKey, now: Timestamp) -> Result<(), Expired> {
        let (not_after, current) = (pair.facts().not_after, self.not_after());
        if not_after <= now && current.is_some_and(|current| current > now) {
            return Err(Expired { not_after });
        }
        self.current.store(Some(Arc::new(pair)));
        Ok(())
    }

    pub(crate) fn not_before(&self) -> Option<Timestamp> {
        Some(self.current.load().as_ref()?.facts().not_before)
    }

    pub(crate) fn not_after(&self) -> Option<Timestamp> {
        Some(self.current.load().as_ref()?.facts().not_after)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load().as_ref()?.rustls().clone())
    }
}
