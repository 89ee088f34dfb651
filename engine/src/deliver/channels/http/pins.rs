//! Certificates of pinned keys only: what an authority vouches for is not enough where the manifest says which keys
//! a destination may have.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::tls::TlsError;

/// SHA-256 of a public key (SPKI).
pub type Pin = [u8; 32];

/// Error of a certificate whose key is not pinned.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("certificate's key is not one of those pinned")]
pub struct NotPinned;

/// Text that rustls shows of the verifier.
impl fmt::Debug for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Makes a verifier of certificates: one of `roots` must have issued the chain, and its key must be one of `pins`.
pub fn verifier(
    roots: Arc<RootCertStore>,
    pins: &[Pin],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let vouched = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
    Ok(Arc::new(Pinned { vouched: vouched.map_err(TlsError::Nobody)?, pins: pins.to_vec() }))
}

struct Pinned {
    vouched: Arc<WebPkiServerVerifier>,
    pins: Vec<Pin>,
}

impl Pinned {
    /// Returns whether the key of the leaf is pinned. Only the leaf's owner proves to have its key; other certificates
    /// of the chain prove nothing.
    fn has(&self, leaf: &CertificateDer<'_>) -> bool {
        X509Certificate::from_der(leaf).is_ok_and(|(_, leaf)| {
            let key = digest(&SHA256, leaf.tbs_certificate.subject_pki.raw);
            self.pins.iter().any(|pin| pin == key.as_ref())
        })
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.vouched.verify_server_cert(leaf, intermediates, name, ocsp, now)?;
        if self.has(leaf) {
            return Ok(verified);
        }
        Err(CertificateError::Other(OtherError(Arc::new(NotPinned))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.vouched.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.vouched.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.vouched.supported_verify_schemes()
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pinned")
    }
}
