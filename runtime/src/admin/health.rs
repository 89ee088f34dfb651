//! HTTP endpoints for probes, metrics and status: read-only, without any event's content, on a thread of their own so that
//! load cannot starve them. Any pod can connect, so clients are bounded as at the listener: probes by `PROBES`, and those
//! that ask for metrics or status by `PAGES`, which take no room from probes. In both a new connection takes the place of
//! the one that has been silent for the longest.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
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
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    sync::Semaphore,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use visnyk_crds::contract::paths;

use crate::observe::metrics;
use crate::server::{
    connection::drive,
    connection_activity::{ConnectionActivity, ObservedStream, Running},
    connections::{Connections, Slot},
    limits::Limits,
};

/// Content of the health endpoints of a process. Its functions must not wait for other services. Probes are answered
/// on the health thread; metrics and status are made on another.
pub trait HealthEndpoints: Send + Sync + 'static {
    /// Returns the loops that have not ticked within their time. Empty: the process is alive.
    fn live(&self) -> Vec<String>;
    /// Returns what has to happen before events can be accepted durably. Empty: ready.
    fn ready(&self) -> Vec<String>;
    /// Returns what the start still waits for. Empty: started.
    fn started(&self) -> Vec<String>;
    /// Returns the metrics, in the `OpenMetrics` text format.
    fn metrics(&self) -> String;
    /// Returns the status: one consistent snapshot.
    fn status(&self) -> serde_json::Value;
}

/// The running server. It ends when this is dropped.
#[derive(Debug)]
pub struct Health {
    address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// Reason for which the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The address cannot be bound.
    #[error("health address {address} cannot be bound")]
    Bind {
        /// Address that cannot be bound.
        address: SocketAddr,
        /// Error of the operation that failed.
        #[source]
        source: io::Error,
    },
    /// The thread cannot start.
    #[error("health thread cannot start")]
    Thread(#[source] io::Error),
}

/// Maximum time for a client to send a request's header, and to take an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of connections that ask for probes, or for nothing yet.
const PROBES: Bound = Bound { all: 64, of_a_client: 16 };
/// Maximum number of connections that last asked for metrics or status: Prometheus, the operator, and a few people.
const PAGES: Bound = Bound { all: 16, of_a_client: 4 };
/// Maximum number of pages of metrics or status that are made at once.
const MAX_CONCURRENT_PAGES: usize = 1;
/// Interval of the checks of open connections.
const TICK: Duration = Duration::from_secs(1);
/// Maximum size of a request's headers in bytes; requests of probes and scrapers are far smaller.
const BUFFER: usize = 8 * 1024;

/// Maximum number of open connections: of all clients, and of one client.
struct Bound {
    all: usize,
    of_a_client: usize,
}

impl Bound {
    fn limits(&self) -> Limits {
        Limits {
            connections: self.all,
            connections_per_address: self.of_a_client,
            header: TIMEOUT,
            stalled_write: TIMEOUT,
            ..Limits::default()
        }
    }
}

impl Health {
    /// Binds the address and serves `endpoints` there.
    pub fn start(address: SocketAddr, endpoints: impl HealthEndpoints) -> Result<Self, HealthError> {
        let bind = |source| HealthError::Bind { address, source };
        let socket = crate::server::bind::listen(address).map_err(bind)?;
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
                result = serve(socket, Arc::new(endpoints)) => {
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

    /// Returns the address that it listens on.
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

async fn serve(socket: TcpListener, endpoints: Arc<impl HealthEndpoints>) -> io::Result<()> {
    let socket = tokio::net::TcpListener::from_std(socket)?;
    let server = Arc::new(Server::new(endpoints));
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = tick.tick() => server.sweep(),
            accepted = socket.accept() => match accepted {
                Ok((stream, peer)) => server.take(stream, peer.ip()),
                // Too many open files, mostly: those of the listener come back as it closes connections.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
        }
    }
}

struct Server<F> {
    endpoints: Arc<F>,
    http: http1::Builder,
    probes: (Connections, Limits),
    pages: (Connections, Limits),
    making: Arc<Semaphore>,
}

impl<F: HealthEndpoints> Server<F> {
    fn new(endpoints: Arc<F>) -> Self {
        let mut http = http1::Builder::new();
        // The connections' activity bounds how long a header may take.
        http.header_read_timeout(None).max_buf_size(BUFFER);
        let probes = (Connections::default(), PROBES.limits());
        let pages = (Connections::of_which_any_may_go(), PAGES.limits());
        Self { endpoints, http, probes, pages, making: Arc::new(Semaphore::new(MAX_CONCURRENT_PAGES)) }
    }

    /// Cuts each connection that sends no header in time, or takes no answer.
    fn sweep(&self) {
        for (connections, limits) in [&self.probes, &self.pages] {
            connections.sweep(limits);
        }
    }

    /// Serves a connection, if there is a slot for it.
    fn take(self: &Arc<Self>, stream: TcpStream, client: IpAddr) {
        let (probes, limits) = &self.probes;
        let Ok(admitted) = probes.admit(client, limits) else { return };
        let server = self.clone();
        tokio::spawn(async move {
            let activity = admitted.activity.clone();
            let stream = TokioIo::new(ObservedStream::new(stream, activity.clone()));
            let held = Held { client, slot: Mutex::new(admitted) };
            let service = service_fn(|request| server.answer(request, &held));
            let connection = server.http.serve_connection(stream, service);
            drive(connection, http1::Connection::graceful_shutdown, &activity).await;
        });
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        held: &Held,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let _running = Running::begin(held.activity());
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "read-only\n".into());
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Ok(response);
        }
        Ok(match request.uri().path() {
            paths::LIVEZ => probe(&self.endpoints.live()),
            paths::READYZ => probe(&self.endpoints.ready()),
            paths::STARTUPZ => probe(&self.endpoints.started()),
            paths::METRICS => self.page(held, metrics::CONTENT_TYPE, HealthEndpoints::metrics).await,
            paths::STATUS => {
                self.page(held, "application/json", |endpoints| format!("{:#}\n", endpoints.status())).await
            }
            _ => text(StatusCode::NOT_FOUND, "try /livez, /readyz, /startupz, /metrics or /status\n".into()),
        })
    }

    /// Makes a page on another thread. From here on the connection is one of those that ask for pages.
    async fn page(
        &self,
        held: &Held,
        content_type: &'static str,
        make: fn(&F) -> String,
    ) -> Response<Full<Bytes>> {
        let (pages, limits) = &self.pages;
        held.moves_to(pages, limits);
        // Kept by who makes it: it goes on if the connection is cut meanwhile.
        let making = self.making.clone().acquire_owned().await;
        let endpoints = self.endpoints.clone();
        let body = tokio::task::spawn_blocking(move || {
            let _making = making;
            make(&endpoints)
        });
        match body.await {
            Ok(body) => page(StatusCode::OK, content_type, body),
            // It panicked, which has been reported where it happened.
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "this page cannot be made\n".into()),
        }
    }
}

/// The slot that a connection holds.
struct Held {
    client: IpAddr,
    slot: Mutex<Slot>,
}

impl Held {
    fn activity(&self) -> Arc<ConnectionActivity> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).activity.clone()
    }

    /// Changes the connection's slot for one among these, of which any may go.
    fn moves_to(&self, connections: &Connections, limits: &Limits) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_of(connections) {
            return;
        }
        if let Ok(admitted) = connections.admit_as(slot.activity.clone(), self.client, limits) {
            *slot = admitted;
        }
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
