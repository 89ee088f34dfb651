//! One connection: handshake, then HTTP/1 or HTTP/2 as agreed in it, until it ends or is ordered away.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use http::{HeaderValue, Request, Response, Version, header::CONNECTION};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    app::{App, TrackedBody},
    client_certificate::ClientCertificate,
    connection_activity::{ConnectionActivity, ObservedStream, Order, Running},
    connections::Slot,
    limits::Limits,
    listener::Peer,
    tls::{Handshakes, TlsMode},
};

/// Maximum size of the buffer for a header or a part of a body, in bytes. hyper's default would grow to 400 KiB.
const BUFFER: usize = 64 * 1024;
/// Bytes that an HTTP/2 client may send ahead on one stream: memory that it can fill before a handler looks.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// State that all connections of a listener share.
pub(crate) struct Shared<A> {
    pub(crate) app: A,
    pub(crate) limits: Limits,
    pub(crate) leaving: AtomicBool,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl<A: App> Shared<A> {
    pub(crate) fn new(app: A, limits: Limits) -> Self {
        let mut http1 = http1::Builder::new();
        // No timer of hyper's per request: `activity` bounds how long a header may take.
        // At most 100 headers: hyper's default, which it keeps on the stack.
        http1.header_read_timeout(None).max_header_size(limits.header_size as usize).max_buf_size(BUFFER);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(limits.header_size)
            .max_pending_accept_reset_streams(limits.pending_resets)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(limits.ping)
            .keep_alive_timeout(limits.ping);
        Self { app, limits, leaving: AtomicBool::new(false), http1, http2 }
    }
}

/// Serves one accepted connection to its end. Whatever ends it is the client's affair and is not logged.
pub(crate) async fn run<A: App>(
    stream: TcpStream,
    peer: SocketAddr,
    tls: TlsMode,
    shared: Arc<Shared<A>>,
    admitted: Slot,
) {
    let activity = &admitted.activity;
    match tls {
        TlsMode::Plain => http_1(stream, Client { peer, certificate: None }, &shared, activity).await,
        TlsMode::Tls(Handshakes { config, authorities }) => {
            let handshake = TlsAcceptor::from(config).accept(stream);
            let handshake = tokio::time::timeout(shared.limits.handshake, handshake);
            let stream = tokio::select! {
                biased;
                stream = handshake => stream,
                () = cut(activity) => return,
            };
            let Ok(Ok(stream)) = stream else { return };
            tokio::select! {
                biased;
                () = says_something(&stream) => {}
                () = cut(activity) => return,
            }
            let session = stream.get_ref().1;
            let chain = session.peer_certificates();
            let certificate = chain.and_then(|chain| ClientCertificate::of(chain, authorities));
            let client = Client { peer, certificate };
            if session.alpn_protocol() == Some(b"h2") {
                activity.speaks_http2();
                Box::pin(http_2(stream, client, &shared, activity)).await;
            } else {
                Box::pin(http_1(stream, client, &shared, activity)).await;
            }
        }
    }
}

/// Waits until the client has sent something or has gone: a client that stays silent costs no more than a TLS
/// session.
async fn says_something(stream: &TlsStream<TcpStream>) {
    let (socket, session) = stream.get_ref();
    if session.wants_read() {
        // An error is the next reader's.
        let _ = socket.readable().await;
    }
}

async fn cut(activity: &ConnectionActivity) {
    while activity.ordered().await != Order::Cut {}
}

async fn http_1<S, A: App>(
    stream: S,
    client: Client,
    shared: &Arc<Shared<A>>,
    activity: &Arc<ConnectionActivity>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handler = Handler::new(client, shared, activity);
    let stream = TokioIo::new(ObservedStream::new(stream, activity.clone()));
    let service = service_fn(move |request| handler.call(request));
    let connection = shared.http1.serve_connection(stream, service);
    drive(connection, http1::Connection::graceful_shutdown, activity).await;
}

async fn http_2<S, A: App>(
    stream: S,
    client: Client,
    shared: &Arc<Shared<A>>,
    activity: &Arc<ConnectionActivity>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handler = Handler::new(client, shared, activity);
    let stream = TokioIo::new(ObservedStream::new(stream, activity.clone()));
    let service = service_fn(move |request| handler.call(request));
    let connection = shared.http2.serve_connection(stream, service);
    drive(connection, http2::Connection::graceful_shutdown, activity).await;
}

/// Polls a connection to its end, and carries out the orders of the accept loop.
pub(crate) async fn drive<C>(connection: C, retire: impl Fn(Pin<&mut C>), activity: &ConnectionActivity)
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    loop {
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            order = activity.ordered() => match order {
                Order::Retire => retire(connection.as_mut()),
                Order::Cut => return,
            },
        }
    }
}

/// Client at the other end of a connection.
struct Client {
    peer: SocketAddr,
    certificate: Option<ClientCertificate>,
}

/// Calls the application for each request of one connection.
struct Handler<A> {
    peer: Peer,
    certificate: Option<ClientCertificate>,
    shared: Arc<Shared<A>>,
    activity: Arc<ConnectionActivity>,
}

impl<A: App> Handler<A> {
    fn new(client: Client, shared: &Arc<Shared<A>>, activity: &Arc<ConnectionActivity>) -> Self {
        let Client { peer, certificate } = client;
        let peer = Peer { address: SocketAddr::new(peer.ip().to_canonical(), peer.port()) };
        Self { peer, certificate, shared: shared.clone(), activity: activity.clone() }
    }

    fn call(
        &self,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<A::Body>, Infallible>> + Send + use<A> {
        let running = Running::begin(self.activity.clone());
        if let Some(certificate) = &self.certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        // HTTP/2 has a frame of its own for going away.
        let last = request.version() < Version::HTTP_2 && self.shared.leaving.load(Ordering::Relaxed);
        let request = request.map(|body| TrackedBody::of(body, &self.activity));
        let answer = self.shared.app.clone().answer(self.peer, request);
        async move {
            let _running = running;
            let mut response = answer.await;
            if last {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        }
    }
}
