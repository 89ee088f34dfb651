//! The application behind a listener: it answers each request.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::Request;

use super::listener::Peer;
pub use super::tracked_body::TrackedBody;

/// Application of a listener. Clones are the same application; each request has one.
pub trait App: Clone + Send + Sync + 'static {
    /// Body of its answers.
    type Body: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + 'static;

    /// Answers a request of this peer. A client's certificate is in the request's extensions, if it showed one.
    fn answer(
        self,
        peer: Peer,
        request: Request<TrackedBody>,
    ) -> impl Future<Output = http::Response<Self::Body>> + Send + 'static;
}

/// The peer is in the request's extensions.
impl App for Router {
    type Body = Body;

    async fn answer(mut self, peer: Peer, request: Request<TrackedBody>) -> Response {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        let answer: Result<Response, Infallible> = tower_service::Service::call(&mut self, request).await;
        answer.unwrap_or_else(|never| match never {})
    }
}
