//! The fence before every write: a client with it writes only while the lease is surely ours. It holds whatever
//! code runs, in whichever task, even one that wakes after the process was stopped for a minute.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use kube::Config;
use kube::client::retry::RetryPolicy;
use kube::client::{Body, Client, ClientBuilder};
use tokio::time::Instant;
use tower::buffer::BufferLayer;
use tower::filter::{FilterLayer, Predicate};
use tower::limit::ConcurrencyLimitLayer;
use tower::retry::RetryLayer;
use tower::timeout::TimeoutLayer;
use tower::{BoxError, Service};

/// Fence around writes: they pass until a time. Clones share it; closed at first.
#[derive(Clone, Debug, Default)]
pub struct Fence(Arc<Mutex<Option<Instant>>>);

/// Maximum number of requests that wait for a connection, which is that of the client's own queue.
const WAITING: usize = 1024;

/// An API server gives up on a request after a minute, and says so: one that is silent for longer is not there. A watch
/// is answered at once, and may then be idle for as long as it likes.
const LONGEST: Duration = Duration::from_secs(65);

/// Maximum number of requests at once, besides open watches. Each has a connection, and connections are most of the
/// memory of an operator with many resources.
const MAX_CONCURRENT: usize = 32;

/// Error of a write that was not sent, because the lease may have expired.
#[derive(Debug, thiserror::Error)]
#[error("not written: the lease is not ours")]
pub struct Fenced;

impl Fence {
    /// Writes pass until then.
    pub fn open_until(&self, until: Instant) {
        *self.until() = Some(until);
    }

    /// Writes pass no more.
    pub fn close(&self) {
        *self.until() = None;
    }

    /// Returns whether a write would pass now.
    pub fn is_open(&self) -> bool {
        self.until().is_some_and(|until| Instant::now() < until)
    }

    /// A client behind this fence.
    ///
    /// # Errors
    /// When the configuration makes no client.
    pub fn client(&self, config: Config) -> kube::Result<Client> {
        // Those retries would be on the far side.
        let mut config = config;
        config.default_retry = false;
        Ok(self.over(ClientBuilder::try_from(config)?))
    }

    /// Returns a client behind this fence, over any service. It tries a request again when a busy server asks for that;
    /// each try passes the fence anew. No try waits for an answer for longer than `LONGEST`.
    pub fn over<S, B>(&self, service: ClientBuilder<S>) -> Client
    where
        S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        service
            .with_layer(&TimeoutLayer::new(LONGEST))
            .with_layer(&ConcurrencyLimitLayer::new(MAX_CONCURRENT))
            .with_layer(&FilterLayer::new(self.clone()))
            .with_layer(&BufferLayer::new(WAITING))
            .with_layer(&RetryLayer::new(backoff()))
            .build()
    }

    fn until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the retries: three, since what takes longer is for the next reconcile.
fn backoff() -> RetryPolicy {
    let heed_server = true;
    RetryPolicy::new(Duration::from_millis(500), Duration::from_secs(5), 3, heed_server).unwrap_or_default()
}

impl Predicate<Request<Body>> for Fence {
    type Request = Request<Body>;

    fn check(&mut self, request: Request<Body>) -> Result<Request<Body>, BoxError> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if reads || self.is_open() { Ok(request) } else { Err(Fenced.into()) }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::FutureExt;
    use http_body::Frame;
    use http_body_util::{Empty, StreamBody};
    use tokio::time::timeout;
    use tower::service_fn;
    use visnyk_runtime::observe::causes::with_causes;

    use super::*;

    fn passes(fence: &Fence, method: Method) -> bool {
        let request = Request::builder().method(method).body(Body::empty()).unwrap();
        fence.clone().check(request).is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn writes_pass_only_while_the_lease_lasts_and_reads_always() {
        let fence = Fence::default();
        assert!(!passes(&fence, Method::PATCH) && passes(&fence, Method::GET));
        fence.open_until(Instant::now() + Duration::from_secs(10));
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(passes(&fence, method));
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(!passes(&fence, method));
        }
        fence.open_until(Instant::now() + Duration::from_secs(10));
        fence.close();
        assert!(!passes(&fence, Method::DELETE) && passes(&fence, Method::GET));
    }

    #[tokio::test(start_paused = true)]
    async fn write_that_is_tried_again_needs_the_lease_again() {
        let (fence, sent) = (Fence::default(), Arc::new(AtomicUsize::new(0)));
        fence.open_until(Instant::now() + Duration::from_secs(10));
        let busy = service_fn({
            let (fence, sent) = (fence.clone(), Arc::clone(&sent));
            move |_: Request<Body>| {
                sent.fetch_add(1, Ordering::Relaxed);
                fence.close();
                let answer = Response::builder().status(429).header("retry-after", "1");
                ready(answer.body(Empty::<Bytes>::new()))
            }
        });
        let client = fence.over(ClientBuilder::new(busy, "default"));
        let write = || Request::put("/").body(Vec::new()).unwrap();
        assert!(client.request_text(write()).await.is_err());
        assert_eq!(sent.load(Ordering::Relaxed), 1);
        let read = || Request::get("/").body(Vec::new()).unwrap();
        assert!(client.request_text(read()).await.is_err());
        assert_eq!(sent.load(Ordering::Relaxed), 1 + 4);
    }

    #[tokio::test(start_paused = true)]
    async fn request_that_nobody_answers_fails_and_says_why() {
        let silent = service_fn(|_: Request<Body>| pending::<Result<Response<Empty<Bytes>>, BoxError>>());
        let client = Fence::default().over(ClientBuilder::new(silent, "default"));
        let begun = Instant::now();
        let read = Request::get("/").body(Vec::new()).unwrap();
        let failing = timeout(2 * LONGEST, client.request_text(read));
        let error = failing.await.unwrap().unwrap_err();
        assert_eq!(begun.elapsed().as_secs(), LONGEST.as_secs());
        assert_eq!(with_causes(&error), "ServiceError: request timed out: request timed out");
    }

    #[tokio::test(start_paused = true)]
    async fn answer_that_takes_its_time_once_it_has_begun_is_waited_for() {
        let slow = service_fn(|_: Request<Body>| {
            let event = async {
                tokio::time::sleep(Duration::from_mins(4)).await;
                Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"late")))
            };
            ready(Ok::<_, BoxError>(Response::new(StreamBody::new(event.into_stream()))))
        });
        let client = Fence::default().over(ClientBuilder::new(slow, "default"));
        let watch = Request::get("/?watch=true").body(Vec::new()).unwrap();
        assert_eq!(client.request_text(watch).await.unwrap(), "late");
    }
}
