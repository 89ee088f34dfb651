//! Going away without losing a request. A balancer learns late that we leave: so after SIGTERM we are not
//! ready, still accept for a grace, and tell each client to come back on a new connection; then the
//! listener closes, and what is in flight is finished.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::observe::readiness::Readiness;

/// The stages of leaving. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    leaving: CancellationToken,
    closed: CancellationToken,
}

impl Drain {
    /// Nobody leaves yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on clients are told to use other connections.
    pub fn leave(&self) {
        self.leaving.cancel();
    }

    /// From now on nothing new is accepted.
    pub fn close(&self) {
        self.leaving.cancel();
        self.closed.cancel();
    }

    /// Until [`Drain::leave`].
    pub async fn leaving(&self) {
        self.leaving.cancelled().await;
    }

    /// Until [`Drain::close`].
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Waits for SIGTERM or SIGINT, then goes through the stages: not ready and leaving at once, closed after
    /// `grace`, or on a second signal, for the person at the keyboard.
    pub async fn on_signal(self, readiness: Readiness, grace: Duration) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut stop = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        stop().await;
        readiness.lost("drain", "going away");
        self.leave();
        tracing::info!(grace = ?grace, "going away: not ready, still accepting");
        tokio::select! {
            () = tokio::time::sleep(grace) => {}
            () = stop() => {}
        }
        self.close();
        Ok(())
    }
}

/// Waits for SIGTERM or SIGINT where there is nothing to drain.
pub async fn asked_to_go() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
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
        let mut running = Box::pin(drain.clone().on_signal(readiness.clone(), Duration::from_hours(1)));
        // The first poll installs the handlers.
        assert!((&mut running).now_or_never().is_none());
        let running = tokio::spawn(running);
        kill_process(getpid(), Signal::TERM).unwrap();
        drain.leaving().await;
        assert_eq!(readiness.unmet(), [Unmet { name: "drain".into(), reason: "going away".into() }]);
        assert!(drain.closed().now_or_never().is_none());
        kill_process(getpid(), Signal::INT).unwrap();
        drain.closed().await;
        running.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn grace_ends_by_itself() {
        let drain = Drain::new();
        let mut running = Box::pin(drain.clone().on_signal(Readiness::default(), Duration::ZERO));
        assert!((&mut running).now_or_never().is_none());
        kill_process(getpid(), Signal::TERM).unwrap();
        running.await.unwrap();
        drain.closed().await;
    }
}
