//! Activity of one connection and the time since when, in a few atomics: written while a request is handled at the
//! cost of a clock reading, judged once a second by the accept loop. So no request sets a timer.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    task::coop::poll_proceed,
};

use super::limits::Limits;
use crate::observe::watchdog::millis;

/// One connection's state. Times are milliseconds since it was accepted; 0 means never.
#[derive(Debug)]
pub(crate) struct ConnectionActivity {
    accepted: Instant,
    http2: AtomicBool,
    /// Set once a whole request came, or one was answered.
    completed_request: AtomicBool,
    /// Number of requests whose handler runs.
    running: AtomicU32,
    /// Number of requests whose body is still coming.
    awaited: AtomicU32,
    /// Time at which the last bytes came.
    last_received: AtomicU64,
    /// Time at which the last handler ended.
    rested: AtomicU64,
    /// Time at which the first byte of an incomplete HTTP/1 header came.
    head: AtomicU64,
    /// Time at which the client stopped reading.
    blocked: AtomicU64,
    order: AtomicU8,
    ordered: Notify,
}

/// Time in which a new client must send its first bytes: a round trip and a lost packet.
const FRESH: Duration = Duration::from_secs(1);

/// Order of the accept loop to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Finish the running requests and take no new ones.
    Retire,
    /// Close the connection at once.
    Cut,
}

impl ConnectionActivity {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            accepted: Instant::now(),
            http2: AtomicBool::new(false),
            completed_request: AtomicBool::new(false),
            running: AtomicU32::new(0),
            awaited: AtomicU32::new(0),
            last_received: AtomicU64::new(0),
            rested: AtomicU64::new(0),
            // Connecting begins a header: whoever connects has something to say.
            head: AtomicU64::new(1),
            blocked: AtomicU64::new(0),
            order: AtomicU8::new(0),
            ordered: Notify::new(),
        })
    }

    pub(crate) fn speaks_http2(&self) {
        self.http2.store(true, Relaxed);
    }

    pub(crate) fn completed_request(&self) {
        self.completed_request.store(true, Relaxed);
    }

    /// Returns whether a whole request has come.
    pub(crate) fn has_completed_request(&self) -> bool {
        self.completed_request.load(Relaxed)
    }

    /// Returns whether the client has to act next: it is idle between requests, reads no answers, or has not sent the
    /// rest of each body.
    pub(crate) fn waits_for_client(&self) -> bool {
        self.running.load(Relaxed) <= self.awaited.load(Relaxed)
    }

    /// Returns when the client last sent anything.
    pub(crate) fn last_received_at(&self) -> Instant {
        self.accepted + Duration::from_millis(self.last_received.load(Relaxed))
    }

    /// Returns an order if the activity of this connection exceeds its limits.
    pub(crate) fn judge(&self, limits: &Limits) -> Option<Order> {
        let now = self.now();
        let longer = |since: u64, limit: Duration| since > 0 && now.saturating_sub(since) > millis(limit);
        if longer(self.blocked.load(Relaxed), limits.stalled_write) {
            Some(Order::Cut)
        } else if self.running.load(Relaxed) > 0 {
            None
        } else if longer(self.head.load(Relaxed), limits.header)
            // An HTTP/2 client that was asked to go, and does not answer or leaves answers unread.
            || longer(self.rested.load(Relaxed), limits.idle * 2)
        {
            Some(Order::Cut)
        } else {
            longer(self.rested.load(Relaxed), limits.idle).then_some(Order::Retire)
        }
    }

    pub(crate) fn order(&self, order: Order) {
        self.order.fetch_max(order as u8 + 1, Relaxed);
        self.ordered.notify_one();
    }

    /// Waits for the next order, and returns it or the last one again.
    pub(crate) async fn ordered(&self) -> Order {
        self.ordered.notified().await;
        if self.order.load(Relaxed) > Order::Retire as u8 + 1 { Order::Cut } else { Order::Retire }
    }

    pub(crate) fn http2(&self) -> bool {
        self.http2.load(Relaxed)
    }

    /// Returns whether the client has only just connected, and its first request may be on the way.
    pub(crate) fn is_fresh(&self) -> bool {
        self.head.load(Relaxed) > 0 && self.accepted.elapsed() < FRESH
    }

    fn now(&self) -> u64 {
        millis(self.accepted.elapsed()).max(1)
    }

    fn bytes_came(&self) {
        self.last_received.store(self.now(), Relaxed);
        // On HTTP/2, what comes between requests are pings and settings, which earn no time.
        if self.running.load(Relaxed) == 0 && self.head.load(Relaxed) == 0 && !self.http2() {
            self.head.store(self.now(), Relaxed);
        }
    }

    fn wrote<T>(&self, poll: Poll<T>) -> Poll<T> {
        let was_blocked = self.blocked.load(Relaxed) > 0;
        if poll.is_pending() != was_blocked {
            self.blocked.store(if was_blocked { 0 } else { self.now() }, Relaxed);
        }
        poll
    }
}

/// A request whose handler runs, until dropped.
#[derive(Debug)]
pub(crate) struct Running(Arc<ConnectionActivity>);

impl Running {
    pub(crate) fn begin(activity: Arc<ConnectionActivity>) -> Self {
        activity.running.fetch_add(1, Relaxed);
        activity.head.store(0, Relaxed);
        Self(activity)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.completed_request();
        self.0.rested.store(self.0.now(), Relaxed);
        self.0.running.fetch_sub(1, Relaxed);
    }
}

/// A body that is still coming, until dropped.
#[derive(Debug)]
pub(crate) struct Awaited(Arc<ConnectionActivity>);

impl Awaited {
    pub(crate) fn begin(activity: Arc<ConnectionActivity>) -> Self {
        activity.awaited.fetch_add(1, Relaxed);
        Self(activity)
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.awaited.fetch_sub(1, Relaxed);
    }
}

/// Number of the 128 steps of a task's turn that one read takes: a flood of small frames is read four times, and then
/// waits as all others do. With a step for each, eight clients kept all others waiting for seconds.
const STEPS_OF_A_READ: usize = 32;

/// A stream that keeps its connection's activity, and lets others have their turn.
#[derive(Debug)]
pub(crate) struct ObservedStream<S> {
    stream: S,
    activity: Arc<ConnectionActivity>,
}

impl<S> ObservedStream<S> {
    pub(crate) fn new(stream: S, activity: Arc<ConnectionActivity>) -> Self {
        Self { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ObservedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let step = ready!(poll_proceed(cx));
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            step.made_progress();
            take_further_steps(cx);
            self.activity.bytes_came();
        }
        Poll::Ready(Ok(()))
    }
}

/// Takes the further steps of a read. What was read is handed on whatever is left; the next read waits if nothing is.
fn take_further_steps(cx: &mut Context<'_>) {
    for _ in 1..STEPS_OF_A_READ {
        let Poll::Ready(step) = poll_proceed(cx) else { return };
        step.made_progress();
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ObservedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.activity.wrote(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.activity.wrote(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.activity.wrote(poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.activity.wrote(poll)
    }
}
