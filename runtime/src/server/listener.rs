//! The accept loop: accepts connections while there is room, checks the open ones, and closes them at the end. It is
//! one task, which ticks the watchdog each second.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::FutureExt;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::task::TaskTracker;

use super::{
    app::App,
    connection::{self, Shared},
    connections::{Connections, NoSlot},
    drain::Drain,
    limits::Limits,
    tls::Tls,
};
use crate::observe::{metrics::ListenerMetrics, watchdog::Ticker};

/// Sender of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Address of the other end of the connection. An IPv4 address stays one on an IPv6 socket.
    pub address: SocketAddr,
}

/// Parts of a listener, without the application.
#[derive(Debug)]
pub struct Listener {
    /// Socket that is bound and listens.
    pub socket: TcpListener,
    /// TLS of the listener; it may change while the listener runs.
    pub tls: Tls,
    /// Limits on the resources that clients take.
    pub limits: Limits,
    /// Ticker of the accept loop, which ticks each second.
    pub ticker: Ticker,
    /// Counts what happens here.
    pub metrics: ListenerMetrics,
}

/// Outcome of a listener that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Number of connections that were cut because they did not end in time.
    pub cut: usize,
}

/// Interval of the checks of open connections and of the watchdog's ticks. A limit is exceeded by at most this time.
const TICK: Duration = Duration::from_secs(1);
/// Wait after an error that the next accept would meet again, such as too many open files.
const BACK_OFF: Duration = Duration::from_millis(100);

impl Listener {
    /// Accepts connections for `app` until `drain` closes, then finishes what is in flight.
    pub async fn serve(self, app: impl App, drain: Drain) -> Drained {
        let Self { socket, tls, limits, ticker, metrics } = self;
        let shared = Arc::new(Shared::new(app, limits.clone()));
        let connections = Connections::default();
        let tasks = TaskTracker::new();
        let take = |stream: TcpStream, peer: SocketAddr| match connections.admit(peer.ip(), &limits) {
            Ok(slot) => {
                metrics.accepted.inc();
                // Answers are small and written whole; waiting for more to send would only delay them.
                let _ = stream.set_nodelay(true);
                tasks.spawn(connection::run(stream, peer, tls.mode(), shared.clone(), slot));
            }
            Err(NoSlot::Full) => metrics.refused("full"),
            Err(NoSlot::ClientFull) => metrics.refused("client_full"),
        };
        let mut tick = tokio::time::interval(TICK.min(shortest(&limits) / 4));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut not_before = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = drain.closed() => break,
                () = drain.leaving(), if !shared.leaving.load(Ordering::Relaxed) => {
                    shared.leaving.store(true, Ordering::Relaxed);
                    connections.retire_http2();
                }
                _ = tick.tick() => {
                    ticker.tick();
                    connections.sweep(&limits);
                    metrics.open(connections.len());
                }
                accepted = accept(&socket, not_before) => match accepted {
                    Ok((stream, peer)) => take(stream, peer),
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept connections");
                        metrics.refused("error");
                        not_before = Instant::now() + BACK_OFF;
                    }
                },
            }
        }
        // Whoever the kernel has let in already would be reset when the socket closes.
        while let Some(Ok((stream, peer))) = socket.accept().now_or_never() {
            take(stream, peer);
        }
        drop(socket);
        tasks.close();
        finish(&connections, &tasks, &limits, &ticker).await
    }
}

/// Lets open connections finish within the limit, then cuts the rest.
async fn finish(connections: &Connections, tasks: &TaskTracker, limits: &Limits, ticker: &Ticker) -> Drained {
    let deadline = Instant::now() + limits.finish;
    while Instant::now() < deadline && !tasks.is_empty() {
        // Again and again, for those that were in their handshake, or fresh.
        connections.retire();
        ticker.tick();
        let next = deadline.min(Instant::now() + TICK);
        let _ = tokio::time::timeout_at(next, tasks.wait()).await;
    }
    let cut = connections.len();
    connections.cut();
    tasks.wait().await;
    Drained { cut }
}

async fn accept(socket: &TcpListener, not_before: Instant) -> io::Result<(TcpStream, SocketAddr)> {
    if Instant::now() < not_before {
        tokio::time::sleep_until(not_before).await;
    }
    socket.accept().await
}

/// Errors that say something of the connection that was to be accepted, and nothing of the next.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn shortest(limits: &Limits) -> Duration {
    limits.header.min(limits.idle).min(limits.stalled_write)
}

#[cfg(test)]
mod tests;
