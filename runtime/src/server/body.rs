//! Reading a request's body: its size, its pace and its share of memory are bounded before the handler
//! sees a byte of it.

mod budget;

use std::{
    future::poll_fn,
    net::IpAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header::EXPECT};
use http_body::Body;
use tokio::time::{Instant, Sleep};

use super::{client_network::client_network, problem::Problem};
use budget::{Budget, NoRoom, Share};

/// Reader of the bodies in one process. Clones share the budget.
#[derive(Clone, Debug)]
pub struct Bodies {
    budget: Arc<Budget>,
    pace: BodyPace,
}

/// Minimum pace of a body: each `bytes_per_second` received earn a second, and no more than `grace` is ever saved up.
/// So a body that stops is cut after `grace`, however much of it came before, and one of the largest size takes at
/// most `grace + size / bytes_per_second`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyPace {
    /// Longest time without progress: a lost packet or two on a bad line.
    pub grace: Duration,
    /// Minimum rate, in bytes per second. The default is the rate of a modem; senders are in data centres.
    pub bytes_per_second: u64,
}

impl Default for BodyPace {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), bytes_per_second: 16 * 1024 }
    }
}

/// Maximum bytes of all bodies in flight, in a process that may use 128 MiB.
pub const IN_FLIGHT: u64 = 64 * 1024 * 1024;

/// Wait that a refused sender is asked for. Bodies leave the budget within milliseconds.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A client that is refused in the middle of its body reads the answer only after sending the rest, and loses
/// it if the connection closes first; so what comes within this time is read and thrown away.
const LINGER: Duration = Duration::from_secs(2);

/// A body that was read whole. Its bytes count against the budget until this is dropped.
#[derive(Debug)]
pub struct ReadBody {
    /// The body as it came.
    pub bytes: Bytes,
    _share: Share,
}

impl Bodies {
    /// Makes a reader whose bodies together hold at most `in_flight` bytes.
    pub fn new(in_flight: u64, pace: BodyPace) -> Self {
        Self { budget: Budget::new(in_flight), pace }
    }

    /// Returns the bytes that bodies in flight hold.
    pub fn in_flight(&self) -> u64 {
        self.budget.used()
    }

    /// Reads a body of at most `limit` bytes that came with these headers from this client.
    ///
    /// # Errors
    /// 413 if it is too large, 408 if it comes too slowly, 400 if it breaks off; 503 if there is no room for it, or if its
    /// room was given to another because it was the one furthest behind.
    pub async fn read<B>(
        &self,
        client: IpAddr,
        headers: &HeaderMap,
        body: B,
        limit: u64,
    ) -> Result<ReadBody, Problem>
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
        let share = self.budget.share(client_network(client), limit);
        match self.gather(body.as_mut(), limit, share).await {
            Ok(read) => Ok(read),
            Err(Failure::Sender(problem)) => Err(problem),
            Err(Failure::Refused(problem)) => Err(refuse(body, problem).await),
        }
    }

    async fn gather<B>(
        &self,
        mut body: Pin<&mut B>,
        limit: u64,
        mut share: Share,
    ) -> Result<ReadBody, Failure>
    where
        B: Body<Data = Bytes>,
    {
        // Polled, and so known to the timer, only when a client keeps us waiting.
        let mut deadline = pin!(tokio::time::sleep_until(Instant::now() + self.pace.grace));
        let mut first = Bytes::new();
        let mut joined = BytesMut::new();
        let mut received = 0;
        while let Some(data) = next_data(body.as_mut(), deadline.as_mut(), &share).await? {
            received += data.len() as u64;
            if received > limit {
                return Err(Failure::Refused(Problem::too_large(limit)));
            }
            let is_last = body.is_end_stream();
            // Counted as they come: a client must send bytes to hold bytes, announcing them is not enough.
            share.grow(data.len() as u64, is_last)?;
            if received == data.len() as u64 && is_last {
                return Ok(ReadBody { bytes: data, _share: share });
            }
            let earned = deadline.deadline() + self.pace.earned(data.len() as u64);
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
            deadline.as_mut().reset(earned.min(Instant::now() + self.pace.grace));
        }
        share.complete()?;
        let bytes = if joined.is_empty() { first } else { joined.freeze() };
        Ok(ReadBody { bytes, _share: share })
    }
}

impl BodyPace {
    fn earned(&self, bytes: u64) -> Duration {
        Duration::from_millis(bytes.saturating_mul(1000) / self.bytes_per_second)
    }
}

/// Reason for which a body was not read.
enum Failure {
    /// The sender broke off, or was too slow. The rest is not read.
    Sender(Problem),
    /// The body is refused, whatever the rest contains.
    Refused(Problem),
}

impl From<NoRoom> for Failure {
    fn from(NoRoom: NoRoom) -> Self {
        Self::Refused(Problem::unavailable("Too many bodies in flight", RETRY_AFTER))
    }
}

impl Default for Bodies {
    fn default() -> Self {
        Self::new(IN_FLIGHT, BodyPace::default())
    }
}

/// Reads the next bytes of the body, past empty ones and trailers.
async fn next_data<B>(
    mut body: Pin<&mut B>,
    mut deadline: Pin<&mut Sleep>,
    share: &Share,
) -> Result<Option<Bytes>, Failure>
where
    B: Body<Data = Bytes>,
{
    loop {
        let frame = tokio::select! {
            biased;
            frame = poll_fn(|cx| body.as_mut().poll_frame(cx)) => frame,
            () = share.displaced() => return Err(NoRoom.into()),
            () = deadline.as_mut() => return Err(Failure::Sender(Problem::timeout())),
        };
        match frame {
            None => return Ok(None),
            // The connection broke or the framing is wrong; hyper closes it, and mostly nobody reads this.
            Some(Err(_)) => return Err(Failure::Sender(Problem::bad_request("Body broke off"))),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if !data.is_empty() => return Ok(Some(data)),
                _ => {}
            },
        }
    }
}

/// Returns the problem, after giving the client the time to see it.
async fn refuse<B>(mut body: Pin<&mut B>, problem: Problem) -> Problem
where
    B: Body<Data = Bytes>,
{
    let rest = async { while let Some(Ok(_)) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {} };
    let _ = tokio::time::timeout(LINGER, rest).await;
    problem
}

#[cfg(test)]
mod tests;
