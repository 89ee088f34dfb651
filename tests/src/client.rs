//! An HTTP client as a sender has one: it trusts the authority in a server's data folder and nothing else.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use reqwest::{Certificate, Client, ClientBuilder, Identity, redirect::Policy, tls};

/// Maximum time of a request: a server that hangs must fail a test, not stop it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Returns a client that trusts the certificates in this file, and reaches `localhost` at this address.
pub fn https(ca: &Path, address: SocketAddr) -> Client {
    trusting_in(ca, address).build().unwrap()
}

/// Version of HTTP that a client uses.
#[derive(Clone, Copy, Debug)]
pub enum Version {
    /// Requests use HTTP/1.1.
    Http1,
    /// Requests use HTTP/2.
    Http2,
}

/// Returns the client of [`https`], which shows this certificate (PEM, with its key) if it has one.
pub fn https_with(ca: &Path, address: SocketAddr, identity: Option<&str>, version: Version) -> Client {
    let mut builder = trusting_in(ca, address);
    if let Some(pem) = identity {
        builder = builder.identity(Identity::from_pem(pem.as_bytes()).unwrap());
    }
    let builder = match version {
        Version::Http1 => builder.http1_only(),
        Version::Http2 => builder.http2_prior_knowledge(),
    };
    builder.build().unwrap()
}

/// Returns a client that connects from this address of the machine, and keeps so many connections open for later.
pub fn https_from(from: Ipv4Addr, ca: &Path, address: SocketAddr, idle: usize) -> Client {
    trusting_in(ca, address).local_address(IpAddr::from(from)).pool_max_idle_per_host(idle).build().unwrap()
}

/// Returns a client for plain HTTP.
pub fn http() -> Client {
    builder().build().unwrap()
}

/// Returns a client that reaches `localhost` at this address and takes any certificate: to look at what is served.
pub fn trusting(address: SocketAddr) -> Client {
    builder()
        .tls_danger_accept_invalid_certs(true)
        .tls_info(true)
        .pool_max_idle_per_host(0)
        .resolve("localhost", address)
        .build()
        .unwrap()
}

/// Returns the certificate that a server shows, in DER.
pub async fn certificate(address: SocketAddr) -> Vec<u8> {
    let url = format!("https://localhost:{}/", address.port());
    let answer = trusting(address).get(url).send().await.unwrap();
    answer.extensions().get::<tls::TlsInfo>().unwrap().peer_certificate().unwrap().to_vec()
}

fn trusting_in(ca: &Path, address: SocketAddr) -> ClientBuilder {
    let pem = fs::read(ca).unwrap_or_else(|error| panic!("{}: {error}", ca.display()));
    let authorities = Certificate::from_pem_bundle(&pem).unwrap();
    builder().tls_certs_only(authorities).resolve("localhost", address)
}

fn builder() -> ClientBuilder {
    // Installed by whichever test of this process comes first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder().no_proxy().redirect(Policy::none()).timeout(TIMEOUT)
}
