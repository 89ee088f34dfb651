//! The public key of a trusted certificate, to verify signatures.

use std::sync::Arc;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::client::{WebPkiServerVerifier, danger::ServerCertVerifier};
use rustls_pki_types::{ServerName, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::pki::pem::certificates;

/// An RSA public key, with the end of its certificate's validity.
#[derive(Debug)]
pub struct VerifiedPublicKey {
    key: UnparsedPublicKey<Vec<u8>>,
    not_after: Timestamp,
}

/// Reason for which a certificate is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The text contains no certificate.
    #[error("holds no certificate in pem")]
    Pem,
    /// The certificate cannot be parsed.
    #[error("certificate cannot be read")]
    Unreadable,
    /// There are no CA certificates.
    #[error("there are no certificate authorities")]
    NoAuthorities,
    /// No CA issued the certificate, it is for another name, or it is not valid now.
    #[error("certificate is not trusted")]
    Untrusted(#[source] rustls::Error),
}

impl VerifiedPublicKey {
    /// Returns the key of the first certificate of this PEM, if `roots` vouch for it and for its name at this time,
    /// perhaps by way of the other certificates in it.
    pub fn check(
        pem: &[u8],
        roots: &Arc<RootCertStore>,
        name: &'static str,
        now: Timestamp,
    ) -> Result<Self, CertificateError> {
        let chain = certificates(pem).map_err(|_| CertificateError::Pem)?;
        let (leaf, between) = chain.split_first().ok_or(CertificateError::Pem)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), provider).build();
        let verifier = verifier.map_err(|_| CertificateError::NoAuthorities)?;
        let name = ServerName::try_from(name).map_err(|_| CertificateError::Unreadable)?;
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        verifier.verify_server_cert(leaf, between, &name, &[], now).map_err(CertificateError::Untrusted)?;

        let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| CertificateError::Unreadable)?;
        let not_after = leaf.validity().not_after.timestamp();
        Ok(Self {
            key: UnparsedPublicKey::new(
                &RSA_PKCS1_2048_8192_SHA256,
                leaf.public_key().subject_public_key.data.to_vec(),
            ),
            not_after: Timestamp::from_second(not_after).map_err(|_| CertificateError::Unreadable)?,
        })
    }

    /// Returns whether its certificate is still valid.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        now <= self.not_after
    }

    /// Returns whether the private key of this public key signed the message, by RSA (PKCS #1 v1.5) with SHA-256.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify(message, signature).is_ok()
    }
}
