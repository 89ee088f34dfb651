//! Reading a request's body: its size, its pace and its share of memory are bounded before the handler
//! sees a byte of it.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header::EXPECT};
use http_body::Body;
use tokio::time::{Instant, Sleep};

use super::problem::Problem;

/// How bodies are read in one process. Clones share the budget.
#[derive(Clone, Debug)]
pub struct Bodies {
    budget: Arc<Budget>,
    pace: BodyPace,
}

/// How slowly a body may come: within `grace`, and a second more for each `bytes_per_second` received.
/// So a body of the largest size takes at most `grace + size / bytes_per_second`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyPace {
    /// For a body of any size: a lost packet or two on a bad line.
    pub grace: Duration,
    /// A modem's rate; a webhook's sender sits in a data centre.
    pub bytes_per_second: u64,
}

impl Default for BodyPace {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), bytes_per_second: 16 * 1024 }
    }
}

/// Bytes of all bodies in flight in a process that is meant to live within 128 MiB.
pub const IN_FLIGHT: u64 = 64 * 1024 * 1024;

/// A refused sender may come back soon: bodies leave the budget within milliseconds.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A client that is refused in the middle of its body reads the answer only after sending the rest, and loses
/// it if the connection closes first; so what comes within this time is read and thrown away.
const LINGER: Duration = Duration::from_secs(2);

/// A body, read whole. Its bytes count against the budget until this is dropped.
#[derive(Debug)]
pub struct ReadBody {
    /// The body as it came.
    pub bytes: Bytes,
    _share: Share,
}

impl Bodies {
    /// Bodies that together hold at most `in_flight` bytes.
    pub fn new(in_flight: u64, pace: BodyPace) -> Self {
        Self { budget: Arc::new(Budget { used: AtomicU64::new(0), size: in_flight }), pace }
    }

    /// Bytes held by bodies in flight.
    pub fn in_flight(&self) -> u64 {
        self.budget.used.load(Ordering::Relaxed)
    }

    /// Reads a body of at most `limit` bytes that came with these headers.
    pub async fn read<B>(&self, headers: &HeaderMap, body: B, limit: u64) -> Result<ReadBody, Problem>
    where
        B: Body<Data = Bytes>,
    {
        let mut body = pin!(body);
        if body.size_hint().lower() > limit {
            let problem = Problem::too_large(limit);
            // Who asks first (`Expect: 100-continue`) is answered before it sends anything.
            return Err(if headers.contains_key(EXPECT) { problem } else { refuse(body, problem).await });
        }
        // What was kept of a body that is refused is let go before the rest of it is thrown away.
        match self.gather(body.as_mut(), limit).await {
            Ok(read) => Ok(read),
            Err(Failure::Sender(problem)) => Err(problem),
            Err(Failure::Refused(problem)) => Err(refuse(body, problem).await),
        }
    }

    async fn gather<B>(&self, mut body: Pin<&mut B>, limit: u64) -> Result<ReadBody, Failure>
    where
        B: Body<Data = Bytes>,
    {
        let began = Instant::now();
        // Polled, and so known to the timer, only when a client keeps us waiting.
        let mut deadline = pin!(tokio::time::sleep_until(began + self.pace.grace));
        let mut share = Share { budget: self.budget.clone(), bytes: 0 };
        let mut first = Bytes::new();
        let mut joined = BytesMut::new();
        while let Some(data) = next_data(body.as_mut(), deadline.as_mut()).await.map_err(Failure::Sender)? {
            let received = share.bytes + data.len() as u64;
            if received > limit {
                return Err(Failure::Refused(Problem::too_large(limit)));
            }
            // Counted as they come: a client must send bytes to hold bytes, announcing them is not enough.
            if !share.grow(data.len() as u64) {
                return Err(Failure::Refused(Problem::unavailable("Too many bodies in flight", RETRY_AFTER)));
            }
            if received == data.len() as u64 && body.is_end_stream() {
                return Ok(ReadBody { bytes: data, _share: share });
            }
            if first.is_empty() && joined.is_empty() {
                first = data;
            } else {
                if joined.is_empty() {
                    let rest = usize::try_from(body.size_hint().lower()).unwrap_or(0);
                    joined.reserve(first.len() + data.len() + rest);
                    joined.extend_from_slice(&std::mem::take(&mut first));
                }
                joined.extend_from_slice(&data);
            }
            let earned = Duration::from_millis(received.saturating_mul(1000) / self.pace.bytes_per_second);
            deadline.as_mut().reset(began + self.pace.grace + earned);
        }
        let bytes = if joined.is_empty() { first } else { joined.freeze() };
        Ok(ReadBody { bytes, _share: share })
    }
}

/// Why a body was not read.
enum Failure {
    /// The sender broke off, or was too slow: nobody waits for the rest.
    Sender(Problem),
    /// It is not wanted, however much of it is still to come.
    Refused(Problem),
}

impl Default for Bodies {
    fn default() -> Self {
        Self::new(IN_FLIGHT, BodyPace::default())
    }
}

/// The next bytes of the body, past empty ones and trailers.
async fn next_data<B>(mut body: Pin<&mut B>, mut deadline: Pin<&mut Sleep>) -> Result<Option<Bytes>, Problem>
where
    B: Body<Data = Bytes>,
{
    loop {
        let frame = tokio::select! {
            biased;
            frame = poll_fn(|cx| body.as_mut().poll_frame(cx)) => frame,
            () = deadline.as_mut() => return Err(Problem::timeout()),
        };
        match frame {
            None => return Ok(None),
            // The connection broke or the framing is wrong; hyper closes it, and mostly nobody reads this.
            Some(Err(_)) => return Err(Problem::bad_request("Body broke off")),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if !data.is_empty() => return Ok(Some(data)),
                _ => {}
            },
        }
    }
}

/// The problem, after giving the client the time to see it.
async fn refuse<B>(mut body: Pin<&mut B>, problem: Problem) -> Problem
where
    B: Body<Data = Bytes>,
{
    let rest = async { while let Some(Ok(_)) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {} };
    let _ = tokio::time::timeout(LINGER, rest).await;
    problem
}

#[derive(Debug)]
struct Budget {
    used: AtomicU64,
    size: u64,
}

/// What one body has of the budget.
#[derive(Debug)]
struct Share {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Share {
    fn grow(&mut self, bytes: u64) -> bool {
        self.bytes += bytes;
        // Counted before it is judged, so that two bodies never both take the last bytes.
        self.budget.used.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.budget.size
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
