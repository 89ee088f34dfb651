//! Servers of the measurement's own: the one that a measurement compares with, and the destinations.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use axum::{
    Router,
    body::Bytes,
    routing::{get, post},
};
use clap::Args;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use visnyk_sinks::counter;

use crate::subjects::SinkKind;

/// Certificate and key of a server.
#[derive(Args, Clone, Debug)]
pub struct Certificate {
    /// File with the certificate chain, PEM.
    #[arg(long)]
    pub certificate: PathBuf,
    /// File with the private key, PEM.
    #[arg(long)]
    pub key: PathBuf,
}

/// Reads each body and answers as the relay does.
pub async fn bare(address: SocketAddr, certificate: &Certificate) -> anyhow::Result<()> {
    let app = Router::new().route("/", post(async |_: Bytes| "{\"success\":\"Webhook handled\"}\n"));
    serve_tls(bind(address).await?, acceptor(&certificate.certificate, &certificate.key)?, app).await
}

/// Runs one destination of each kind on the ports above `count_port`, where a GET answers what each has taken: one
/// number a line.
pub async fn sinks(
    host: IpAddr,
    count_port: u16,
    kinds: &[SinkKind],
    certificate: &Certificate,
) -> anyhow::Result<()> {
    let acceptor = acceptor(&certificate.certificate, &certificate.key)?;
    let counts: Vec<Arc<AtomicU64>> = kinds.iter().map(|_| Arc::default()).collect();
    for ((kind, taken), port) in kinds.iter().zip(&counts).zip(count_port + 1..) {
        let listener = bind(SocketAddr::new(host, port)).await?;
        let app = counter::router(taken.clone(), kind.pace());
        match kind {
            SinkKind::Tls => drop(tokio::spawn(serve_tls(listener, acceptor.clone(), app))),
            _ => drop(tokio::spawn(serve_plain(listener, app))),
        }
    }
    let tell = async move || {
        let lines = counts.iter().map(|taken| taken.load(Ordering::Relaxed).to_string());
        lines.collect::<Vec<_>>().join("\n")
    };
    serve_plain(bind(SocketAddr::new(host, count_port)).await?, Router::new().route("/", get(tell))).await
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("bind {address}"))
}

fn acceptor(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve_tls(listener: TcpListener, acceptor: TlsAcceptor, app: Router) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, app) = (acceptor.clone(), app.clone());
        tokio::spawn(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, app).await;
            }
        });
    }
}

async fn serve_plain(listener: TcpListener, app: Router) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream, app.clone()));
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, app: Router) {
    // A client that goes away ends its connection, and nothing else.
    let _ = Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
        .await;
}
