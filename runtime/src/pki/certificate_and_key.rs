//! The one type of a certificate with its private key.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{crypto::aws_lc_rs, sign::CertifiedKey};
use visnyk_crds::contract::paths;

use super::{
    Facts,
    pem::{self, PrivateKeyError},
};

/// A certificate chain and the private key of its first certificate, as PEM and as rustls uses them.
///
/// # Guarantees
///
/// It is made only by parsing or by issuing, so the key belongs to the certificate, and both are supported.
#[derive(Clone)]
pub struct CertificateAndKey {
    certificate: String,
    key: String,
    facts: Facts,
    rustls: Arc<CertifiedKey>,
}

/// Error for a certificate and a key that cannot be read or used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateAndKeyError {
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operation that failed.
        #[source]
        source: io::Error,
    },
    /// The text of the certificate is not PEM, or has no certificate in it.
    #[error("tls.crt holds no certificate")]
    Certificate,
    /// The text of the key has no usable private key in it.
    #[error("tls.key {0}")]
    Key(PrivateKeyError),
    /// The key is that of another certificate, or one of them is of an unsupported kind.
    #[error("tls.crt and tls.key do not belong together or are not supported")]
    Mismatch(#[source] rustls::Error),
}

impl CertificateAndKey {
    /// Reads `tls.crt` and `tls.key` of a folder.
    pub fn read(folder: &Path) -> Result<Self, CertificateAndKeyError> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(|source| CertificateAndKeyError::Read { path, source })
        };
        Self::parse(&read(paths::CERTIFICATE)?, &read(paths::KEY)?)
    }

    /// Parses two PEM texts: the chain, the certificate itself first, and the private key.
    pub fn parse(chain: &[u8], key: &[u8]) -> Result<Self, CertificateAndKeyError> {
        let parsed = pem::certificates(chain).map_err(|_| CertificateAndKeyError::Certificate)?;
        let facts = parsed.first().and_then(Facts::of).ok_or(CertificateAndKeyError::Certificate)?;
        let parsed_key = pem::private_key(key).map_err(CertificateAndKeyError::Key)?;
        let rustls = CertifiedKey::from_der(parsed, parsed_key, &aws_lc_rs::default_provider())
            .map_err(CertificateAndKeyError::Mismatch)?;
        // PEM is ASCII: only what stands around it can be anything else.
        let text = |pem| String::from_utf8_lossy(pem).into_owned();
        Ok(Self { certificate: text(chain), key: text(key), facts, rustls: Arc::new(rustls) })
    }

    /// Returns the certificate chain as PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Returns the private key as PEM.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the content of the first certificate.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Returns the form in which rustls uses them.
    pub(crate) fn rustls(&self) -> &Arc<CertifiedKey> {
        &self.rustls
    }
}

/// Two pairs are equal if their PEM texts are equal.
impl PartialEq for CertificateAndKey {
    fn eq(&self, other: &Self) -> bool {
        (&self.certificate, &self.key) == (&other.certificate, &other.key)
    }
}

impl Eq for CertificateAndKey {}

impl fmt::Debug for CertificateAndKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never its key.
        f.debug_struct("CertificateAndKey").field("facts", &self.facts).finish_non_exhaustive()
    }
}
