//! The line between the controllers and the API server: it counts what goes over it, and breaks where a test says so.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, header};
use kube::Config;
use kube::client::{Body, Client, ClientBuilder, DynBody};
use tokio::sync::watch;
use tokio::time::{Duration, Instant};
use tower::{BoxError, Layer, Service};
use visnyk_operator::process::fence::Fence;

type Answer = Response<Box<DynBody>>;

/// Fate of a request.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// The request is sent and answered.
    Passes,
    /// Not sent, and fails.
    Lost,
    /// Not sent, and never answered.
    Silent,
    /// Sent and takes effect, and fails after so long.
    TimesOut(Duration),
    /// Sent, and answered after so long.
    Slow(Duration),
    /// Not sent, and answered like this.
    Answered(StatusCode),
    /// End of the process, before the request was sent or after it took effect.
    Kills(Moment),
}

/// Moment at which a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the request was sent.
    Before,
    /// After it took effect.
    After,
}

type Decide = Box<dyn FnMut(&Request<Body>) -> Fate + Send>;

/// Line between an operator and the API server. Clones share it.
#[derive(Clone)]
pub struct Line(Arc<Shared>);

struct Shared {
    seen: Mutex<Seen>,
    /// True if the process at its end is dead: it neither asks nor hears any more.
    dead: watch::Sender<bool>,
    /// Number of requests that wait for their answers, watches aside.
    waiting: AtomicUsize,
}

struct Seen {
    decide: Decide,
    /// Number of requests, by method and path.
    requests: BTreeMap<String, usize>,
    writes: usize,
}

impl Line {
    /// Returns a line on which `decide` decides.
    pub fn new(decide: impl FnMut(&Request<Body>) -> Fate + Send + 'static) -> Self {
        let seen = Seen { decide: Box::new(decide), requests: BTreeMap::new(), writes: 0 };
        Self(Arc::new(Shared {
            seen: Mutex::new(seen),
            dead: watch::Sender::new(false),
            waiting: AtomicUsize::new(0),
        }))
    }

    /// Returns a line that never breaks.
    pub fn sound() -> Self {
        Self::new(|_| Fate::Passes)
    }

    /// Returns a line that ends the process with one of its writes, after it let so many pass.
    pub fn deadly(lets_pass: usize, moment: Moment) -> Self {
        let mut passed = 0;
        Self::new(move |request| {
            if is_read(request) {
                return Fate::Passes;
            }
            passed += 1;
            if passed > lets_pass { Fate::Kills(moment) } else { Fate::Passes }
        })
    }

    /// Changes what becomes of requests from now on.
    pub fn decide(&self, decide: impl FnMut(&Request<Body>) -> Fate + Send + 'static) {
        self.seen().decide = Box::new(decide);
    }

    /// Returns the number of requests, by method and path.
    pub fn requests(&self) -> BTreeMap<String, usize> {
        self.seen().requests.clone()
    }

    /// Returns the number of writes.
    pub fn writes(&self) -> usize {
        self.seen().writes
    }

    /// Returns whether no request waits for its answer.
    pub fn is_quiet(&self) -> bool {
        self.0.waiting.load(Ordering::SeqCst) == 0
    }

    /// Returns once the process is dead.
    pub async fn death(&self) {
        let mut dead = self.0.dead.subscribe();
        let _ = dead.wait_for(|dead| *dead).await;
    }

    /// Returns a client at this end, made as the operator makes its own, which leads for as long as the test runs; of
    /// an administrator, unless it is another account's.
    pub async fn client(&self, account: Option<&str>) -> Client {
        let fence = Fence::default();
        fence.open_until(Instant::now() + Duration::from_hours(24));
        let mut config = Config::infer().await.unwrap();
        config.default_retry = false;
        config.auth_info.impersonate = account.map(str::to_owned);
        fence.over(ClientBuilder::try_from(config).unwrap().with_layer(self))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fate(&self, request: &Request<Body>) -> Fate {
        let mut seen = self.seen();
        let which = format!("{} {}", request.method(), request.uri().path());
        *seen.requests.entry(which).or_default() += 1;
        seen.writes += usize::from(!is_read(request));
        (seen.decide)(request)
    }

    fn kill(&self) {
        self.0.dead.send_replace(true);
    }

    fn is_dead(&self) -> bool {
        *self.0.dead.borrow()
    }
}

/// Returns whether it changes nothing: a question, or a dry run.
pub fn is_read(request: &Request<Body>) -> bool {
    let is_dry_run = request.uri().query().is_some_and(|query| query.contains("dryRun="));
    is_dry_run || matches!(*request.method(), Method::GET | Method::HEAD)
}

impl<S> Layer<S> for Line {
    type Service = Through<S>;

    fn layer(&self, inner: S) -> Through<S> {
        Through { line: self.clone(), inner }
    }
}

/// Service that sends requests through a line.
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
        if self.line.is_dead() {
            return std::future::pending().boxed();
        }
        let waits = Waits::begin(&self.line, &request);
        let inner = &mut self.inner;
        let outcome: Self::Future = match self.line.fate(&request) {
            Fate::Passes => inner.call(request).boxed(),
            Fate::Silent => std::future::pending().boxed(),
            Fate::Lost => async { Err("connection reset by the test".into()) }.boxed(),
            Fate::TimesOut(wait) => {
                let answer = inner.call(request);
                async move {
                    answer.await?;
                    tokio::time::sleep(wait).await;
                    Err("timed out by the test".into())
                }
                .boxed()
            }
            Fate::Slow(wait) => {
                let answer = inner.call(request);
                async move {
                    let answer = answer.await;
                    tokio::time::sleep(wait).await;
                    answer
                }
                .boxed()
            }
            Fate::Answered(status) => async move { Ok(refusal(status)) }.boxed(),
            Fate::Kills(Moment::Before) => {
                self.line.kill();
                std::future::pending().boxed()
            }
            Fate::Kills(Moment::After) => {
                let (line, answer) = (self.line.clone(), inner.call(request));
                async move {
                    let _ = answer.await;
                    line.kill();
                    std::future::pending().await
                }
                .boxed()
            }
        };
        async {
            let _waits = waits;
            outcome.await
        }
        .boxed()
    }
}

/// Counts a request for as long as it waits.
struct Waits(Line);

impl Waits {
    fn begin(line: &Line, request: &Request<Body>) -> Option<Self> {
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        (!is_watch).then(|| {
            line.0.waiting.fetch_add(1, Ordering::SeqCst);
            Self(line.clone())
        })
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Returns the answer of an API server that is too busy, or broken.
fn refusal(status: StatusCode) -> Answer {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status.as_u16(),
        "reason": status.canonical_reason().unwrap_or_default().replace(' ', ""), "message": "made up by the test",
    });
    let mut answer = Response::builder().status(status);
    if status == StatusCode::TOO_MANY_REQUESTS {
        answer = answer.header(header::RETRY_AFTER, "1");
    }
    let body = http_body_util::BodyExt::map_err(http_body_util::Full::from(body.to_string()), BoxError::from);
    answer.body(Box::new(body) as Box<DynBody>).unwrap()
}
