//! The accept loop of the sinks.

use std::{io, net::SocketAddr};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Behaviour of a sink towards its clients.
pub(crate) trait Serve: Clone + Send + 'static {
    /// Decides on a connection before anything is read from it; none closes it.
    fn accept(&self, stream: TcpStream) -> Option<TcpStream>;

    /// Answers a request; an error breaks the connection off.
    fn answer(
        self,
        request: Request<Incoming>,
    ) -> impl Future<Output = io::Result<Response<Full<Bytes>>>> + Send;
}

/// A server that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server(JoinHandle<()>);

impl Server {
    /// Listens on an address, and serves HTTP/1.
    pub(crate) async fn start(address: SocketAddr, sink: impl Serve) -> Self {
        let socket = TcpListener::bind(address).await.unwrap();
        Self(tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = socket.accept().await else { continue };
                if let Some(stream) = sink.accept(stream) {
                    tokio::spawn(serve(stream, sink.clone()));
                }
            }
        }))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn serve(stream: TcpStream, sink: impl Serve) {
    let service = service_fn(move |request| sink.clone().answer(request));
    // The other side may break off as it likes.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
