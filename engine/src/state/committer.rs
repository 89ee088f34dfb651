//! Commits changes of the ledgers, at most ten times a second, and then lets the journal free the events that no
//! destination needs. An idle relay writes nothing, and wakes once a second.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::batch::Batch;
use super::configure::{Configured, Wanted};
use super::seen::Seen;
use super::shared::SharedLedgers;
use super::store::{CommitError, Store};
use super::{Accepted, Seq};

/// Time from the first change to its commit, so that one commit holds several changes.
const GATHER: Duration = Duration::from_millis(100);
/// Maximum sleep while nothing changes.
const TICK: Duration = Duration::from_secs(1);
/// Pause after a failed commit.
const RETRY: Duration = Duration::from_secs(1);

/// Condition of the state file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitState {
    /// The last commit succeeded.
    Good,
    /// The last commit failed for lack of space. Deliveries pause, nothing is freed, and the commit is tried again each
    /// second.
    Full,
    /// A commit failed for another reason. Nothing is committed before a restart.
    Broken,
}

/// Reason for which changes are not in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCommitted {
    /// There is no space. The changes are committed once there is.
    #[error("no space for the state file")]
    Full,
    /// Changes cannot be committed before a restart.
    #[error("state file cannot be written until a restart")]
    Broken,
}

/// Writes the ledgers' changes to their file; cheap to clone.
#[derive(Clone)]
pub struct Committer {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    ledgers: SharedLedgers,
    seen: Arc<Mutex<Seen>>,
    /// Lock that is held during a commit, so that one batch is out at a time.
    committing: tokio::sync::Mutex<()>,
    commit_state: watch::Sender<CommitState>,
    watermark: watch::Receiver<Seq>,
    steady_ms: Box<dyn Fn() -> u64 + Send + Sync>,
    free_through: Box<dyn Fn(Option<Seq>) + Send + Sync>,
}

impl Committer {
    /// Makes a committer. `watermark` is the journal's, `steady_ms` reads the spool's steady clock. `free_through` is
    /// called after each commit with the sequence up to which no destination needs the journal any more, `None` without
    /// destinations.
    pub fn new(
        store: Store,
        ledgers: SharedLedgers,
        seen: Arc<Mutex<Seen>>,
        watermark: watch::Receiver<Seq>,
        steady_ms: impl Fn() -> u64 + Send + Sync + 'static,
        free_through: impl Fn(Option<Seq>) + Send + Sync + 'static,
    ) -> Self {
        let inner = Inner {
            store,
            ledgers,
            seen,
            committing: tokio::sync::Mutex::new(()),
            commit_state: watch::Sender::new(CommitState::Good),
            watermark,
            steady_ms: Box::new(steady_ms),
            free_through: Box::new(free_through),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Returns the condition of the state file, as it changes.
    pub fn commit_state(&self) -> watch::Receiver<CommitState> {
        self.inner.commit_state.subscribe()
    }

    /// Commits everything that changed until now.
    ///
    /// # Cancel safety
    /// Dropped, the commit goes on.
    pub async fn commit_now(&self) -> Result<(), NotCommitted> {
        let inner = self.inner.clone();
        tokio::spawn(async move { inner.commit().await }).await.unwrap_or(Err(NotCommitted::Broken))
    }

    /// Makes the destinations those of a configuration, and commits that with everything that changed until now.
    ///
    /// # Errors
    /// Nothing of it is in the file, nor in the ledgers.
    ///
    /// # Cancel safety
    /// Dropped, the commit goes on, and the configuration may be installed.
    pub async fn configure(
        &self,
        wanted: Vec<Wanted>,
        now_ms: i64,
        journal: impl Accepted + Send + 'static,
    ) -> Result<Configured, NotCommitted> {
        let inner = self.inner.clone();
        let configuring = tokio::spawn(async move { inner.configure(&wanted, now_ms, journal).await });
        configuring.await.unwrap_or(Err(NotCommitted::Broken))
    }

    /// Commits what changes until `stop`, then once more. Calls `tick` about each second, unless a commit takes longer.
    ///
    /// # Cancel safety
    /// None: dropped in the middle of a commit, it is the last one. `stop` ends it.
    pub async fn run(self, stop: CancellationToken, tick: impl Fn()) {
        let mut watermark = self.inner.watermark.clone();
        let mut last = Ok(());
        while stop.run_until_cancelled(self.inner.pause(last, &mut watermark)).await.is_some() {
            tick();
            last = self.inner.commit().await;
        }
        if let Err(error) = self.commit_now().await {
            tracing::error!(%error, "the last changes of the state are not kept: deliveries will repeat");
        }
    }
}

impl Inner {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until another commit is due; `last` is the result of the one before.
    async fn pause(&self, last: Result<(), NotCommitted>, watermark: &mut watch::Receiver<Seq>) {
        if last.is_err() {
            return sleep(RETRY).await;
        }
        tokio::select! {
            () = self.ledgers.touched() => {}
            Ok(()) = watermark.changed() => {}
            () = sleep(TICK) => return,
        }
        sleep(GATHER).await;
    }

    async fn commit(&self) -> Result<(), NotCommitted> {
        let _committing = self.committing.lock().await;
        self.check_works()?;
        // A statement of its own: the guard must not live across the commit.
        let batch = {
            let mut ledgers = self.ledgers.lock_unnoticed();
            ledgers.saw(*self.watermark.borrow());
            ledgers.take_batch()
        };
        let Some(batch) = batch else { return Ok(()) };
        match self.write(batch).await {
            Ok(batch) => {
                let free_through = self.ledgers.lock_unnoticed().committed(&batch);
                self.free(free_through);
                Ok(())
            }
            Err((batch, error)) => {
                self.ledgers.lock_unnoticed().failed(batch);
                Err(error)
            }
        }
    }

    async fn configure(
        &self,
        wanted: &[Wanted],
        now_ms: i64,
        journal: impl Accepted + Send,
    ) -> Result<Configured, NotCommitted> {
        let _committing = self.committing.lock().await;
        self.check_works()?;
        let (plan, batch) = {
            let mut ledgers = self.ledgers.lock_unnoticed();
            ledgers.saw(*self.watermark.borrow());
            let plan = ledgers.plan(wanted, now_ms, &journal);
            let batch = ledgers.take_batch_of(&plan);
            (plan, batch)
        };
        let Some(batch) = batch else {
            // A commit was dropped half-way: only at the end of a process.
            self.ledgers.lock_unnoticed().abandon();
            return Err(NotCommitted::Broken);
        };
        match self.write(batch).await {
            Ok(batch) => {
                let (configured, free_through) = {
                    let mut ledgers = self.ledgers.lock_unnoticed();
                    // The new ones first: the journal is not freed beyond where they begin.
                    let configured = ledgers.install(plan);
                    (configured, ledgers.committed(&batch))
                };
                self.free(free_through);
                Ok(configured)
            }
            Err((batch, error)) => {
                let mut ledgers = self.ledgers.lock_unnoticed();
                ledgers.abandon();
                ledgers.failed(batch);
                Err(error)
            }
        }
    }

    fn check_works(&self) -> Result<(), NotCommitted> {
        if *self.commit_state.borrow() == CommitState::Broken { Err(NotCommitted::Broken) } else { Ok(()) }
    }

    /// Writes a batch, with the ids of accepted events; gives it back either way, for the ledgers to hear of.
    async fn write(&self, mut batch: Batch) -> Result<Batch, (Batch, NotCommitted)> {
        // After the ledgers': whatever they are past is below this watermark.
        let now_ms = Timestamp::now().as_millisecond();
        batch.seen = self.seen().take_batch(*self.watermark.borrow(), now_ms);
        batch.steady_ms = (self.steady_ms)();
        match self.store.commit(&batch).await {
            Ok(()) => {
                self.seen().committed(&batch.seen);
                self.enter(CommitState::Good);
                Ok(batch)
            }
            Err(error) => {
                self.seen().failed(std::mem::take(&mut batch.seen));
                let (commit_state, not_committed) = match &error {
                    CommitError::Full(_) => (CommitState::Full, NotCommitted::Full),
                    CommitError::Broken(_) => (CommitState::Broken, NotCommitted::Broken),
                };
                if self.enter(commit_state) {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(%error, cause, "state cannot be kept, deliveries pause");
                }
                Err((batch, not_committed))
            }
        }
    }

    /// Lets the journal free what no destination needs any more. No event goes before its id is kept.
    fn free(&self, through: Option<Seq>) {
        let kept = self.seen().kept_through();
        (self.free_through)(through.map(|through| through.min(kept)));
    }

    /// Sets the condition, and returns whether it is another one than before.
    fn enter(&self, commit_state: CommitState) -> bool {
        self.commit_state.send_if_modified(|now| std::mem::replace(now, commit_state) != commit_state)
    }
}

#[cfg(test)]
mod tests;
