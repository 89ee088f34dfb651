//! Stopping without losing a request. A balancer learns late that a process stops: so after SIGTERM the process is not
//! ready, still accepts during the drain grace, and tells each client to use a new connection. Then the listener
//! closes, and the requests in flight are finished.

use std::io::{self, IsTerminal};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::observe::readiness::Readiness;

/// The stages of a drain. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    leaving: CancellationToken,
    closed: CancellationToken,
}

impl Drain {
    /// Makes a drain that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells clients from now on to use other connections.
    pub fn leave(&self) {
        self.leaving.cancel();
    }

    /// Accepts nothing new from now on.
    pub fn close(&self) {
        self.leaving.cancel();
        self.closed.cancel();
    }

    /// Waits until [`Drain::leave`] was called.
    pub async fn leaving(&self) {
        self.leaving.cancelled().await;
    }

    /// Waits until [`Drain::close`] was called.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Waits for a signal, then goes through the stages: not ready and leaving at once, closed after `grace`, or on a
    /// second signal, for the person at the keyboard.
    pub async fn on_signal(self, signals: &mut Signals, readiness: Readiness, grace: Duration) {
        signals.asked_to_go().await;
        readiness.lost("drain", "going away");
        self.leave();
        tracing::info!(grace = ?grace, "going away: not ready, still accepting");
        tokio::select! {
            () = tokio::time::sleep(grace) => {}
            () = signals.asked_to_go() => {}
        }
        self.close();
    }
}

/// SIGTERM, SIGINT and SIGHUP, heard from the start of a process to its end: one that comes while nobody waits is kept
/// for the next wait. Without handlers, the kernel ends a process in the middle of its start, or, where it is the first
/// of its container, ignores the signal. So they are installed before anything else is done.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Set if the process has a terminal: SIGHUP then means that it was closed. Without one SIGHUP asks to reload.
    on_terminal: bool,
}

/// Error of a signal handler that cannot be installed.
#[derive(Debug, thiserror::Error)]
#[error("cannot install signal handlers")]
pub struct SignalsError(#[from] io::Error);

impl Signals {
    /// Listens from now on. Needs a runtime.
    pub fn listen() -> Result<Self, SignalsError> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            on_terminal: io::stderr().is_terminal(),
        })
    }

    /// Waits until one asks the process to go; returns at once if one came before.
    ///
    /// # Cancel safety
    /// A signal is kept until it is returned.
    pub async fn asked_to_go(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv(), if self.on_terminal => {}
        }
    }
}

/// SIGHUP of a process without a terminal: asks it to read its files again.
#[derive(Debug)]
pub struct ReloadSignal(Option<Signal>);

impl ReloadSignal {
    /// Listens from now on. Needs a runtime.
    pub fn listen() -> Result<Self, SignalsError> {
        let on_terminal = io::stderr().is_terminal();
        Ok(Self(if on_terminal { None } else { Some(signal(SignalKind::hangup())?) }))
    }

    /// Waits until it comes.
    ///
    /// # Cancel safety
    /// A signal is kept until it is returned.
    pub async fn received(&mut self) {
        let Some(hangup) = &mut self.0 else { return std::future::pending().await };
        if hangup.recv().await.is_none() {
            // The runtime ends.
            return std::future::pending().await;
        }
        tracing::info!("SIGHUP: reading all files again");
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;
    use crate::observe::readiness::Unmet;

    #[tokio::test]
    async fn first_signal_leaves_and_second_closes() {
        let (drain, readiness) = (Drain::new(), Readiness::default());
        let mut signals = Signals::listen().unwrap();
        let running = tokio::spawn({
            let (drain, readiness) = (drain.clone(), readiness.clone());
            async move { drain.on_signal(&mut signals, readiness, Duration::from_hours(1)).await }
        });
        kill_process(getpid(), Signal::TERM).unwrap();
        drain.leaving().await;
        assert_eq!(readiness.unmet(), [Unmet { name: "drain".into(), reason: "going away".into() }]);
        assert!(drain.closed().now_or_never().is_none());
        kill_process(getpid(), Signal::INT).unwrap();
        drain.closed().await;
        running.await.unwrap();
    }

    #[tokio::test]
    async fn grace_ends_by_itself() {
        let (drain, mut signals) = (Drain::new(), Signals::listen().unwrap());
        kill_process(getpid(), Signal::TERM).unwrap();
        drain.clone().on_signal(&mut signals, Readiness::default(), Duration::ZERO).await;
        drain.closed().await;
    }

    #[tokio::test]
    async fn signal_that_comes_while_nobody_waits_is_kept() {
        let mut signals = Signals::listen().unwrap();
        assert!(signals.asked_to_go().now_or_never().is_none());
        kill_process(getpid(), Signal::TERM).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        signals.asked_to_go().await;
        assert!(signals.asked_to_go().now_or_never().is_none(), "heard twice");
    }
}
