//! Connections to one server, from the first request over them to their end. A request over HTTP/1.1 drives its connection
//! itself, so that an attempt is one task and not two that wake each other; a connection of HTTP/2 has a task of its own,
//! and as many requests share it as it takes.

use std::future::{Future, poll_fn};
use std::mem;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header::HOST, uri::Scheme};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, sleep};

use super::connect::{ConnectError, Connector, Stream};

/// Maximum size of an answer's headers, in bytes.
const MAX_HEAD: u32 = 64 * 1024;
const MAX_HEADERS: usize = 128;
/// Below what most servers wait before they close an idle connection, so that few requests meet one that is just being
/// closed. Idle connections are looked at once in this time, and so are closed within twice as long.
const IDLE: Duration = Duration::from_secs(15);
/// An HTTP/2 connection is shared by many requests: a dead one must not fail more than these seconds' worth.
const PING_EVERY: Duration = Duration::from_secs(10);
/// Maximum number of requests at once over one HTTP/2 connection; fewer where the server allows fewer.
const MAX_STREAMS: usize = 100;

/// Body of a request.
pub type Body = Full<Bytes>;

/// The requests that a connection is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Many, for a while: as many connections are kept as there were requests at once.
    All,
    /// One: each request is made to an address that was judged for it.
    None,
}

/// The connections to one server. They follow no redirect and know no proxy. Clones share them.
#[derive(Clone)]
pub struct Connections(Arc<Shared>);

struct Shared {
    connector: Connector,
    server: Uri,
    /// Header of requests over HTTP/1.1.
    host: HeaderValue,
    reuse: Reuse,
    open: Mutex<Open>,
    /// Locked while a connection is made that may turn out to be HTTP/2, which requests of the same moment then share.
    connecting: tokio::sync::Mutex<()>,
    /// The server chose HTTP/1.1 the last time.
    is_http1: AtomicBool,
    /// Number of streams that the server allows on each HTTP/2 connection, as far as it has said so.
    max_streams: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Open {
    /// HTTP/1.1: unused, the one that was used last at the end.
    idle: Vec<(Box<Http1>, Instant)>,
    /// HTTP/2, used or not.
    shared: Vec<Http2>,
    /// A task looks at them.
    is_watched: bool,
}

/// A connection of HTTP/1.1, which makes progress while it is driven.
pub(super) struct Http1 {
    sender: http1::SendRequest<Body>,
    /// `None`: it has ended.
    connection: Option<http1::Connection<Stream, Body>>,
}

#[derive(Clone)]
struct Http2 {
    sender: http2::SendRequest<Body>,
    /// Number of streams in use.
    streams: Arc<AtomicUsize>,
    used: Instant,
}

/// A place for one request.
pub(super) enum Place {
    /// A connection for this request alone, and whether it was used before.
    Http1(Box<Http1>, bool),
    /// A stream of a shared one.
    Http2(http2::SendRequest<Body>, Occupied),
}

/// A stream that is in use until this is dropped.
pub(super) struct Occupied(Arc<AtomicUsize>);

/// There is no connection.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// None was made.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server does not speak HTTP.
    #[error("http handshake failed")]
    Handshake(#[source] hyper::Error),
}

impl Connections {
    /// Makes the connections to the server of a URL; none is open yet.
    pub fn new(connector: Connector, url: &Uri, reuse: Reuse) -> Result<Self, ConnectError> {
        let (host, server) = (host_header(url).ok_or(ConnectError::Host)?, url.clone());
        Ok(Self(Arc::new(Shared {
            connector,
            server,
            host,
            reuse,
            open: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            is_http1: AtomicBool::new(url.scheme() != Some(&Scheme::HTTPS)),
            max_streams: Arc::new(AtomicUsize::new(MAX_STREAMS)),
        })))
    }

    /// Returns a place for a request: on an open connection, or on a new one.
    pub(super) async fn place(&self) -> Result<Place, OpenError> {
        if let Some(place) = self.0.free_place() {
            return Ok(place);
        }
        if self.0.is_http1.load(Ordering::Relaxed) {
            return self.0.connect().await;
        }
        let _turn = self.0.connecting.lock().await;
        match self.0.free_place() {
            Some(place) => Ok(place),
            None => self.0.connect().await,
        }
    }

    /// Keeps a connection for the next request, unless it has ended or its answer is not over.
    pub(super) async fn keep(&self, mut connection: Box<Http1>) {
        if self.0.reuse == Reuse::All && connection.is_ready().await {
            let mut open = self.0.open();
            open.idle.push((connection, Instant::now()));
            self.0.watch(&mut open);
        }
    }

    /// Gives no further request to a shared connection that is ending.
    pub(super) fn leave(&self, Occupied(streams): &Occupied) {
        self.0.open().shared.retain(|one| !Arc::ptr_eq(&one.streams, streams));
    }

    /// Returns the number of connections that are kept.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        let open = self.0.open();
        open.idle.len() + open.shared.len()
    }

    /// Returns the header that names the server in HTTP/1.1.
    pub(super) fn host(&self) -> &HeaderValue {
        &self.0.host
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free_place(&self) -> Option<Place> {
        let mut open = self.open();
        if let Some((connection, _)) = open.idle.pop() {
            return Some(Place::Http1(connection, true));
        }
        open.shared.retain(|one| !one.sender.is_closed());
        let max = self.max_streams.load(Ordering::Relaxed);
        let free = open.shared.iter_mut().find_map(|one| Some((Occupied::of(&one.streams, max)?, one)));
        free.map(|(stream, one)| {
            one.used = Instant::now();
            Place::Http2(one.sender.clone(), stream)
        })
    }

    async fn connect(self: &Arc<Self>) -> Result<Place, OpenError> {
        let stream = self.connector.connect(&self.server).await?;
        self.is_http1.store(!stream.is_http2(), Ordering::Relaxed);
        if !stream.is_http2() {
            let (sender, connection) = http1_of(stream).await.map_err(OpenError::Handshake)?;
            let connection = Http1 { sender, connection: Some(connection) };
            return Ok(Place::Http1(Box::new(connection), false));
        }
        let known_max = self.max_streams.load(Ordering::Relaxed);
        let (sender, connection) = http2_of(stream, known_max).await.map_err(OpenError::Handshake)?;
        let streams = Arc::new(AtomicUsize::new(1));
        tokio::spawn(serve(connection, Arc::clone(&self.max_streams)));
        if self.reuse == Reuse::All {
            let shared =
                Http2 { sender: sender.clone(), streams: Arc::clone(&streams), used: Instant::now() };
            let mut open = self.open();
            open.shared.push(shared);
            self.watch(&mut open);
        }
        Ok(Place::Http2(sender, Occupied(streams)))
    }

    /// Starts the task that closes idle connections, unless it runs.
    fn watch(self: &Arc<Self>, open: &mut Open) {
        if !mem::replace(&mut open.is_watched, true) {
            tokio::spawn(close_idle(Arc::downgrade(self)));
        }
    }
}

impl Open {
    /// Takes out what was not used for a while. Returns it, and whether anything is left.
    fn take_idle(&mut self) -> (Vec<(Box<Http1>, Instant)>, bool) {
        self.shared.retain(|one| {
            !one.sender.is_closed() && (one.used.elapsed() < IDLE || one.streams.load(Ordering::Relaxed) > 0)
        });
        let used = self.idle.partition_point(|(_, since)| since.elapsed() >= IDLE);
        let idle = self.idle.drain(..used).collect();
        self.is_watched = !self.idle.is_empty() || !self.shared.is_empty();
        (idle, self.is_watched)
    }
}

async fn close_idle(connections: Weak<Shared>) {
    loop {
        sleep(IDLE).await;
        let Some(shared) = connections.upgrade() else { return };
        let (_closed, is_any_left) = shared.open().take_idle();
        if !is_any_left {
            return;
        }
    }
}

/// Drives an HTTP/2 connection to its end, and notes with each request how many streams the server allows.
async fn serve(
    mut connection: http2::Connection<Stream, Body, TokioExecutor>,
    max_streams: Arc<AtomicUsize>,
) {
    poll_fn(|context| {
        // How it ends is said by the requests over it.
        let ended = Pin::new(&mut connection).poll(context).map(drop);
        max_streams.store(connection.current_max_send_streams().clamp(1, MAX_STREAMS), Ordering::Relaxed);
        ended
    })
    .await;
}

impl Http1 {
    /// Sends a request, and waits for the head of the answer. A request of which nothing left comes back.
    pub async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, Unsent> {
        let answer = self.sender.try_send_request(request);
        self.drive(answer).await.map_err(|mut error| {
            let request = error.take_message();
            Unsent { request, error: error.into_error() }
        })
    }

    /// Drives the connection until `future` is over.
    pub async fn drive<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            self.poll_connection(context);
            future.as_mut().poll(context)
        })
        .await
    }

    /// Returns whether it takes another request.
    async fn is_ready(&mut self) -> bool {
        poll_fn(|context| {
            if !self.sender.is_ready() {
                self.poll_connection(context);
            }
            Poll::Ready(self.connection.is_some() && self.sender.is_ready())
        })
        .await
    }

    fn poll_connection(&mut self, context: &mut Context<'_>) {
        let ended =
            self.connection.as_mut().is_some_and(|connection| Pin::new(connection).poll(context).is_ready());
        if ended {
            // The request that it has, if any, is told why.
            self.connection = None;
        }
    }
}

/// A request that got no answer.
pub(super) struct Unsent {
    /// The request, if nothing of it left.
    pub request: Option<Request<Body>>,
    pub error: hyper::Error,
}

impl Occupied {
    fn of(streams: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        // All that add to it hold the lock of the connections.
        if streams.load(Ordering::Relaxed) >= max {
            return None;
        }
        streams.fetch_add(1, Ordering::Relaxed);
        Some(Self(Arc::clone(streams)))
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn http1_of(
    stream: Stream,
) -> hyper::Result<(http1::SendRequest<Body>, http1::Connection<Stream, Body>)> {
    http1::Builder::new()
        .max_buf_size(MAX_HEAD as usize)
        .max_headers(MAX_HEADERS)
        // The status decides: how a header line is written makes no difference to whoever reads none of them.
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .handshake(stream)
        .await
}

async fn http2_of(
    stream: Stream,
    max_streams: usize,
) -> hyper::Result<(http2::SendRequest<Body>, http2::Connection<Stream, Body, TokioExecutor>)> {
    http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEAD)
        // Until the server says otherwise.
        .initial_max_send_streams(max_streams)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY)
        .handshake(stream)
        .await
}

/// Returns the host of a URL, with its port unless that is the scheme's own.
fn host_header(url: &Uri) -> Option<HeaderValue> {
    let host = url.host()?;
    let own = if url.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    let value = match url.port_u16().filter(|port| *port != own) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    HeaderValue::try_from(value).ok()
}

/// Makes a request one of HTTP/1.1: the path without the server, which a header names. Returns the URL that it had.
pub(super) fn as_http1(request: &mut Request<Body>, host: &HeaderValue) -> Uri {
    request.headers_mut().entry(HOST).or_insert_with(|| host.clone());
    let path = request.uri().path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
    mem::replace(request.uri_mut(), path)
}
