//! The face for the kubelet, Prometheus and whoever looks: probes, metrics and status, read-only and
//! without a word of any event. On a thread of its own, so that load cannot starve it.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::observe::metrics;

/// What a process shows. Each is called on the health thread and must not wait for other services.
pub trait Face: Send + Sync + 'static {
    /// Loops that stand still. Empty: alive.
    fn live(&self) -> Vec<String>;
    /// What has to happen before events can be accepted durably. Empty: ready.
    fn ready(&self) -> Vec<String>;
    /// What the start still waits for. Empty: started.
    fn started(&self) -> Vec<String>;
    /// The metrics, in the `OpenMetrics` text format.
    fn metrics(&self) -> String;
    /// The status: one consistent snapshot.
    fn status(&self) -> serde_json::Value;
}

/// The running server; dropping it ends it.
#[derive(Debug)]
pub struct Health {
    address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The address cannot be bound.
    #[error("health address {address} cannot be bound")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The thread cannot start.
    #[error("health thread cannot start")]
    Thread(#[source] io::Error),
}

/// Connections at once: the kubelet's, Prometheus's and a few people's.
const CONNECTIONS: usize = 64;
/// How long a connection may rest before or in a request's header: the others wait for its place.
const HEADER: Duration = Duration::from_secs(5);
/// What a header may take; nobody sends one of note here.
const BUFFER: usize = 8 * 1024;

impl Health {
    /// Binds the address and serves `face` there.
    pub fn start(address: SocketAddr, face: impl Face) -> Result<Self, HealthError> {
        let bind = |source| HealthError::Bind { address, source };
        let socket = super::bind::listen(address).map_err(bind)?;
        let address = socket.local_addr().map_err(bind)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(HealthError::Thread)?;
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let serving = async move {
            tokio::select! {
                () = stopped => {}
                result = serve(socket, Arc::new(face)) => {
                    if let Err(error) = result {
                        tracing::error!(%error, "health server ended");
                    }
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("health".into())
            .spawn(move || runtime.block_on(serving))
            .map_err(HealthError::Thread)?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(socket: TcpListener, face: Arc<impl Face>) -> io::Result<()> {
    let socket = tokio::net::TcpListener::from_std(socket)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER).max_buf_size(BUFFER);
    loop {
        let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
        let Ok((stream, _)) = socket.accept().await else {
            // Too many open files, mostly: those of the listener come back as it closes connections.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let face = face.clone();
        let service = service_fn(move |request| {
            let answer = answer(&*face, &request);
            async { Ok::<_, Infallible>(answer) }
        });
        let connection = http.serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            let _ = connection.await;
            drop(place);
        });
    }
}

fn answer(face: &impl Face, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "read-only\n".into());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/livez" => probe(&face.live()),
        "/readyz" => probe(&face.ready()),
        "/startupz" => probe(&face.started()),
        "/metrics" => page(StatusCode::OK, metrics::CONTENT_TYPE, face.metrics()),
        "/status" => page(StatusCode::OK, "application/json", format!("{:#}\n", face.status())),
        _ => text(StatusCode::NOT_FOUND, "try /livez, /readyz, /startupz, /metrics or /status\n".into()),
    }
}

fn probe(waits_for: &[String]) -> Response<Full<Bytes>> {
    if waits_for.is_empty() {
        return text(StatusCode::OK, "ok\n".into());
    }
    text(StatusCode::SERVICE_UNAVAILABLE, waits_for.join("\n") + "\n")
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    page(status, "text/plain; charset=utf-8", body)
}

fn page(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests;
