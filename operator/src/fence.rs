//! The fence before every write: a client with it writes only while the lease is surely ours. It holds whatever
//! code runs, in whichever task, even one that wakes after the process was stopped for a minute.

use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, Request};
use kube::Config;
use kube::client::{Body, Client, ClientBuilder};
use tokio::time::Instant;
use tower::filter::{FilterLayer, Predicate};

/// Until when writes pass. Clones share it; closed at first.
#[derive(Clone, Debug, Default)]
pub struct Fence(Arc<Mutex<Option<Instant>>>);

/// The write was not sent.
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

    /// Whether a write would pass now.
    pub fn is_open(&self) -> bool {
        self.until().is_some_and(|until| Instant::now() < until)
    }

    /// A client behind this fence.
    ///
    /// # Errors
    /// When the configuration makes no client.
    pub fn client(&self, config: Config) -> kube::Result<Client> {
        Ok(ClientBuilder::try_from(config)?.with_layer(&FilterLayer::new(self.clone())).build())
    }

    fn until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Predicate<Request<Body>> for Fence {
    type Request = Request<Body>;

    fn check(&mut self, request: Request<Body>) -> Result<Request<Body>, tower::BoxError> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if reads || self.is_open() { Ok(request) } else { Err(Fenced.into()) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
}
