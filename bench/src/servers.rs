//! The two servers that a measurement needs: one to compare with, one to deliver to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use axum::{Router, body::Bytes, extract::State, routing::post};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Reads each body and answers as the relay does.
pub async fn bare(address: SocketAddr, certificate: &Path, key: &Path) -> anyhow::Result<()> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let app = Router::new().route("/", post(async |_: Bytes| "{\"success\":\"Webhook handled\"}\n"));
    let listener = TcpListener::bind(address).await.context("bind")?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, app) = (acceptor.clone(), app.clone());
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            // A client that goes away ends its connection, and nothing else.
            let _ = Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
                .await;
        });
    }
}

/// Counts what it is sent.
pub async fn sink(address: SocketAddr) -> anyhow::Result<()> {
    let taken = Arc::new(AtomicU64::new(0));
    let take = async |State(taken): State<Arc<AtomicU64>>, _: Bytes| {
        taken.fetch_add(1, Ordering::Relaxed);
    };
    let tell = async |State(taken): State<Arc<AtomicU64>>| taken.load(Ordering::Relaxed).to_string();
    let app = Router::new().route("/", post(take).get(tell)).with_state(taken);
    let listener = TcpListener::bind(address).await.context("bind")?;
    axum::serve(listener, app).await?;
    Ok(())
}
