//! TLS configuration that a listener offers in its handshakes.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ResolvesServerCert, WebPkiClientVerifier},
    version,
};

use crate::pki::Trust;

/// Makes a configuration with TLS 1.2 and 1.3 and the provider's suites, all of which are AEAD with forward secrecy.
/// Clients are asked for a certificate where `clients` is given; a client without a certificate, or with one of
/// another authority, is served all the same.
///
/// A session is resumed only by the configuration that it began with: who is no longer trusted in the next
/// one has to prove itself anew.
pub(super) fn server_config(
    certificates: Arc<dyn ResolvesServerCert>,
    clients: Option<&Trust>,
) -> Arc<ServerConfig> {
    let verifier = clients.map_or_else(WebPkiClientVerifier::no_client_auth, Trust::of_clients);
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .expect("the provider has suites for both versions")
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificates);
    // Strong suites first, whatever a client would rather have.
    config.ignore_client_order = true;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Senders that come back resume without a signature; the state is with them and not in our memory.
    if let Ok(ticketer) = aws_lc_rs::Ticketer::new() {
        config.ticketer = ticketer;
    }
    Arc::new(config)
}
