//! Decides whether a certificate is trusted, with the verifiers that TLS handshakes use.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use rustls::{
    CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext},
    Error, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::aws_lc_rs,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{
    Purpose,
    any_client::AnyClient,
    pem::{certificates, first_certificate},
};

/// CA certificates that are trusted; at least one.
#[derive(Clone)]
pub struct Trust {
    servers: Arc<WebPkiServerVerifier>,
    clients: Arc<dyn ClientCertVerifier>,
}

/// Reason for which a bundle of CA certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The text is not PEM, or contains no certificate.
    #[error("bundle holds no certificate")]
    Pem,
    /// The certificate at this index is not one of a CA.
    #[error("certificate {0} of the bundle cannot be used")]
    Certificate(usize, #[source] rustls::Error),
    /// The verifiers cannot be built.
    #[error("bundle cannot be used")]
    Unusable(String),
}

/// Reason for which the certificate of a client is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// The certificate has expired, or is not valid yet.
    Time,
    /// No trusted CA issued it as the certificate of a client.
    Authority,
}

impl Trust {
    /// Trusts every certificate of a PEM bundle.
    pub fn in_bundle(pem: &[u8]) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates(pem).map_err(|_| TrustError::Pem)?.into_iter().enumerate() {
            roots.add(certificate).map_err(|error| TrustError::Certificate(index + 1, error))?;
        }
        let (roots, provider) = (Arc::new(roots), Arc::new(aws_lc_rs::default_provider()));
        let unusable = |error: rustls::server::VerifierBuilderError| TrustError::Unusable(error.to_string());
        let servers = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone());
        let clients = WebPkiClientVerifier::builder_with_provider(roots, provider);
        Ok(Self {
            servers: servers.build().map_err(unusable)?,
            clients: clients.allow_unauthenticated().build().map_err(unusable)?,
        })
    }

    /// Returns the verifier of client certificates for a listener's handshakes (`AnyClient`).
    pub fn of_clients(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::new(AnyClient(self.clients.clone()))
    }

    /// Checks that a trusted authority vouches, at this time, for the client that showed this chain, its own
    /// certificate first.
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<(), Distrust> {
        let (certificate, others) = chain.split_first().ok_or(Distrust::Authority)?;
        let now = unix_time(now).ok_or(Distrust::Time)?;
        match self.clients.verify_client_cert(certificate, others, now) {
            Ok(_) => Ok(()),
            Err(Error::InvalidCertificate(
                Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
            )) => Err(Distrust::Time),
            Err(_) => Err(Distrust::Authority),
        }
    }

    /// Returns whether a certificate (PEM) would be trusted at this time, for each of the names that it is meant for.
    /// A name that verifiers cannot be asked for, such as one that ends in a number, is skipped; at least one other
    /// name is needed.
    pub fn believes(&self, certificate: &[u8], purpose: &Purpose, now: Timestamp) -> bool {
        let Ok(certificate) = first_certificate(certificate) else { return false };
        let Some(now) = unix_time(now) else { return false };
        match purpose {
            Purpose::Sender(_) => self.clients.verify_client_cert(&certificate, &[], now).is_ok(),
            Purpose::Server { names, addresses } => {
                let names = names.iter().filter_map(|name| dns_name(name));
                let addresses = addresses.iter().map(|address| ip_address(*address));
                let mut asked = names.chain(addresses).peekable();
                asked.peek().is_some()
                    && asked.all(|name| {
                        self.servers.verify_server_cert(&certificate, &[], &name, &[], now).is_ok()
                    })
            }
        }
    }
}

fn unix_time(time: Timestamp) -> Option<UnixTime> {
    let seconds = u64::try_from(time.as_second()).ok()?;
    Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

/// Returns a name to ask a verifier for: for a wildcard, a name that it covers. An asterisk before a single label
/// covers none.
fn dns_name(name: &str) -> Option<ServerName<'static>> {
    let asked = match name.strip_prefix("*.") {
        None => name.to_owned(),
        Some(rest) if rest.contains('.') => format!("any.{rest}"),
        Some(_) => return None,
    };
    ServerName::try_from(asked).ok()
}

fn ip_address(address: IpAddr) -> ServerName<'static> {
    ServerName::IpAddress(address.into())
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}
