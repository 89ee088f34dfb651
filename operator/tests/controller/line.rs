//! The line between the controllers and the API server: it counts writes, and breaks where a test says so.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use kube::Config;
use kube::client::{Body, Client, ClientBuilder, DynBody};
use tokio::time::{Duration, Instant};
use tower::{BoxError, Layer, Service};
use visnyk_operator::fence::Fence;

type Answer = Response<Box<DynBody>>;

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// It is sent, and answered.
    Passes,
    /// It is not sent, and nobody ever hears so.
    Silent,
}

type Decide = Box<dyn FnMut(&Request<Body>) -> Fate + Send>;

/// Clones share it.
#[derive(Clone)]
pub struct Line(Arc<Mutex<Seen>>);

struct Seen {
    decide: Decide,
    writes: usize,
}

impl Line {
    /// One on which `decide` decides.
    pub fn new(decide: impl FnMut(&Request<Body>) -> Fate + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Seen { decide: Box::new(decide), writes: 0 })))
    }

    /// One that never breaks.
    pub fn sound() -> Self {
        Self::new(|_| Fate::Passes)
    }

    /// How many writes there were.
    pub fn writes(&self) -> usize {
        self.seen().writes
    }

    /// A client at this end, made as the operator makes its own, which leads for as long as the test runs.
    pub async fn client(&self) -> Client {
        let fence = Fence::default();
        fence.open_until(Instant::now() + Duration::from_hours(24));
        let mut config = Config::infer().await.unwrap();
        config.default_retry = false;
        fence.over(ClientBuilder::try_from(config).unwrap().with_layer(self))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fate(&self, request: &Request<Body>) -> Fate {
        let mut seen = self.seen();
        seen.writes += usize::from(!matches!(*request.method(), Method::GET | Method::HEAD));
        (seen.decide)(request)
    }
}

impl<S> Layer<S> for Line {
    type Service = Through<S>;

    fn layer(&self, inner: S) -> Through<S> {
        Through { line: self.clone(), inner }
    }
}

/// What goes through a line.
pub struct Through<S> {
    line: Line,
    inner: S,
}

impl<S> Service<Request<Body>> for Through<S>
where
    S: Service<Request<Body>, Response = Answer, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.line.fate(&request) {
            Fate::Passes => self.inner.call(request).boxed(),
            Fate::Silent => std::future::pending().boxed(),
        }
    }
}
