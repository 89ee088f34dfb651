//! The certificate that new connections are shown. It changes while connections are open: those go on with
//! what they agreed on.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rustls::{
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use visnyk_crds::contract::paths;

use super::{
    Facts,
    pem::{self, PrivateKeyError},
};

/// A certificate chain and its key, which belong together.
#[derive(Clone, Debug)]
pub struct Pair {
    pub(crate) key: Arc<CertifiedKey>,
    /// When the first certificate of the chain begins to be valid.
    pub not_before: Timestamp,
    /// When the first certificate of the chain expires.
    pub not_after: Timestamp,
}

/// The files are not a usable pair.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The certificate file is not PEM, or has no certificate in it.
    #[error("tls.crt holds no certificate")]
    Certificate,
    /// The key file has no usable private key in it.
    #[error("tls.key {0}")]
    Key(PrivateKeyError),
    /// The key is of another certificate, or one of them is of a kind that is not supported.
    #[error("tls.crt and tls.key do not belong together or are not supported")]
    Mismatch(#[source] rustls::Error),
    /// No client would have the certificate, and there is one that clients will have.
    #[error("the certificate in tls.crt has expired at {not_after}")]
    Expired {
        /// When.
        not_after: Timestamp,
    },
}

impl Pair {
    /// Reads `tls.crt` and `tls.key` of a folder.
    pub fn read(folder: &Path) -> Result<Self, PairError> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(|source| PairError::Read { path, source })
        };
        Self::parse(&read(paths::CERTIFICATE)?, &read(paths::KEY)?)
    }

    /// A pair from two PEM files: the chain, the certificate itself first, and the private key.
    pub fn parse(chain: &[u8], key: &[u8]) -> Result<Self, PairError> {
        let chain = pem::certificates(chain).map_err(|_| PairError::Certificate)?;
        let facts = chain.first().and_then(Facts::of).ok_or(PairError::Certificate)?;
        let key = pem::private_key(key).map_err(PairError::Key)?;
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
            .map_err(PairError::Mismatch)?;
        Ok(Self { key: Arc::new(key), not_before: facts.not_before, not_after: facts.not_after })
    }
}

/// Shows each new connection the latest pair.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    current: ArcSwapOption<Pair>,
}

impl Certificates {
    /// Shows this pair from now on, unless it has expired and the one that is shown has not.
    pub(crate) fn install(&self, pair: Pair, now: Timestamp) -> Result<(), PairError> {
        let (not_after, current) = (pair.not_after, self.not_after());
        if not_after <= now && current.is_some_and(|current| current > now) {
            return Err(PairError::Expired { not_after });
        }
        self.current.store(Some(Arc::new(pair)));
        Ok(())
    }

    pub(crate) fn not_before(&self) -> Option<Timestamp> {
        Some(self.current.load().as_ref()?.not_before)
    }

    pub(crate) fn not_after(&self) -> Option<Timestamp> {
        Some(self.current.load().as_ref()?.not_after)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load().as_ref()?.key.clone())
    }
}
