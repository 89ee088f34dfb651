//! TLS of deliveries: CA certificates for the server, and the relay's client certificate.

use std::sync::Arc;

use rustls::client::VerifierBuilderError;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::CertificateDer;
use tokio_rustls::TlsConnector;
use visnyk_crds::contract::paths;
use visnyk_runtime::pki::pem::{self, PrivateKeyError, private_key};

use super::pins::{self, Pin};

/// A certificate, key or CA that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The text is not PEM of the expected kind, or is empty.
    #[error("{0} holds no usable pem")]
    Pem(&'static str),
    /// The key cannot be used.
    #[error("tls.key {0}")]
    Key(PrivateKeyError),
    /// The parts do not fit together.
    #[error("certificates cannot be used")]
    Unusable(#[source] rustls::Error),
    /// There is no CA certificate.
    #[error("there is no certificate authority")]
    Nobody(#[source] VerifierBuilderError),
}

/// A certificate chain and its key, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// Certificate chain, leaf first, as PEM.
    pub certificates: Vec<u8>,
    /// Private key of the leaf, as PEM.
    pub key: Vec<u8>,
}

/// Returns the system's CA certificates, or the bundled ones of Mozilla where the system has none, as in an image that
/// has only this binary.
pub fn system_roots() -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Arc::new(roots)
}

/// Returns a TLS client that trusts certificates of these CAs and shows no certificate of its own.
pub fn client_of_public(roots: Arc<RootCertStore>) -> Result<TlsConnector, TlsError> {
    client(roots, &[], None)
}

/// Returns a TLS client that trusts certificates of these CAs; if keys are pinned, only certificates with one of these
/// keys. It shows `identity` to a server that asks for a client certificate.
pub fn client(
    roots: Arc<RootCertStore>,
    pins: &[Pin],
    identity: Option<&Identity>,
) -> Result<TlsConnector, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unusable)?;
    let builder = if pins.is_empty() {
        builder.with_root_certificates(roots)
    } else {
        builder.dangerous().with_custom_certificate_verifier(pins::verifier(roots, pins, provider)?)
    };
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = certificates(&identity.certificates, paths::CERTIFICATE)?;
            let key = private_key(&identity.key).map_err(TlsError::Key)?;
            builder.with_client_auth_cert(chain, key).map_err(TlsError::Unusable)?
        }
    };
    Ok(finish(config))
}

/// Parses the CA certificates of a PEM.
pub fn authorities(pem: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(pem, paths::AUTHORITIES)? {
        roots.add(authority).map_err(TlsError::Unusable)?;
    }
    Ok(Arc::new(roots))
}

impl Identity {
    /// Checks that the chain and the key belong together.
    pub fn check(&self) -> Result<(), TlsError> {
        client(Arc::new(RootCertStore::empty()), &[], Some(self)).map(drop)
    }
}

fn finish(mut config: ClientConfig) -> TlsConnector {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config).into()
}

fn certificates(pem: &[u8], file: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    pem::certificates(pem).map_err(|_| TlsError::Pem(file))
}
