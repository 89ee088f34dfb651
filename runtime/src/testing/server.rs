//! A listener to attack, and clients to attack it with.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use axum::{Extension, Router, extract::State, response::IntoResponse, routing::any};
use http::HeaderMap;
use rustls::{ClientConfig, RootCertStore, client::Resumption, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use visnyk_crds::valid::ListenerTls;

use crate::observe::{metrics::ListenerMetrics, readiness::Readiness, watchdog::Watchdog};
use crate::server::{
    body::Bodies,
    drain::Drain,
    limits::Limits,
    listener::{Drained, Listener, Peer},
    tls::{Tls, TlsFiles, Wanted},
};

/// Long enough for a loaded machine, short beside the limits' defaults.
pub(crate) const SOON: Duration = Duration::from_secs(5);
/// For limits that a test runs into.
pub(crate) const SHORT: Duration = Duration::from_millis(200);

pub(crate) struct Served {
    pub address: SocketAddr,
    pub drain: Drain,
    pub task: JoinHandle<Drained>,
    pub tls: Tls,
}

pub(crate) fn files(folder: &Path, ip: &str) -> TlsFiles {
    TlsFiles {
        data_dir: folder.join("data"),
        tls_dir: None,
        client_ca: None,
        secrets_dir: folder.join("secrets"),
        address: ip.parse().unwrap(),
    }
}

pub(crate) async fn serve_with(ip: &str, limits: Limits, tls: Tls, app: Router) -> Served {
    let socket = TcpListener::bind((ip, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let drain = Drain::new();
    let ticker = Watchdog::new().register("accept", SOON);
    let metrics = ListenerMetrics::default();
    let listener = Listener { socket, tls: tls.clone(), limits, ticker, metrics };
    let task = tokio::spawn(listener.serve(app, drain.clone()));
    Served { address, drain, task, tls }
}

/// Returns the configuration of a listener that does not ask clients for certificates.
pub(crate) fn only(own: ListenerTls) -> Wanted {
    Wanted { own, client_ca: None }
}

pub(crate) fn plain(ip: &str) -> Tls {
    Tls::start(files(Path::new("/nonexistent"), ip), only(ListenerTls::None), &Readiness::default())
}

/// Serves without TLS, answering with [`app`].
pub(crate) async fn serve(ip: &str, limits: Limits) -> Served {
    serve_with(ip, limits, plain(ip), app(Bodies::default())).await
}

/// Answers with the peer's address and the body's length; takes bodies of up to 1,000 bytes.
pub(crate) fn app(bodies: Bodies) -> Router {
    let handler = async |State(bodies): State<Bodies>,
                         Extension(peer): Extension<Peer>,
                         headers: HeaderMap,
                         body: axum::body::Body| {
        match bodies.read(peer.address.ip(), &headers, body, 1000).await {
            Ok(body) => format!("{} sent {}", peer.address.ip(), body.bytes.len()).into_response(),
            Err(problem) => problem.into_response(),
        }
    };
    Router::new().fallback(any(handler)).with_state(bodies)
}

pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// Sends a request and reads the answer's head and body, leaving the connection open.
pub(crate) async fn exchange(
    stream: &mut (impl AsyncRead + tokio::io::AsyncWrite + Unpin),
    request: &str,
) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    answer(stream).await
}

/// Reads the next answer, whose length is given.
pub(crate) async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = String::new();
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if length.is_none_or(|length| body.len() >= length.parse().unwrap()) {
                return text;
            }
        }
        let mut buffer = [0; 4096];
        let read =
            tokio::time::timeout(SOON, stream.read(&mut buffer)).await.expect("an answer in time").unwrap();
        assert!(read > 0, "connection closed after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
}

/// Reads everything until the other side closes, which it does soon, by FIN or by a reset.
pub(crate) async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut all = Vec::new();
    let read = async {
        let mut buffer = [0; 4096];
        while let Ok(read) = stream.read(&mut buffer).await {
            if read == 0 {
                return;
            }
            all.extend_from_slice(&buffer[..read]);
        }
    };
    tokio::time::timeout(SOON, read).await.expect("the connection is closed in time");
    all
}

/// Makes a client that trusts these certificates and resumes nothing.
pub(crate) fn connector(trusted: &[&str], alpn: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for pem in trusted {
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

pub(crate) async fn connect_tls(
    connector: &TlsConnector,
    address: SocketAddr,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    connector.connect(name, TcpStream::connect(address).await?).await
}

/// Waits until the condition holds.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFnMut() -> bool) {
    let mut condition = condition;
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("{what}: not within {SOON:?}"));
}
