//! The hand that writes: takes what changed about ten times a second, commits it, and then lets the
//! journal free what every destination is past. An idle relay writes nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::held::EventAt;
use super::ledgers::Ledgers;
use super::store::{CommitError, ReadError, Store};
use super::{DestinationId, Seq};

/// The pause after a commit, in which changes gather.
const GATHER: Duration = Duration::from_millis(100);
/// The longest wait for a change; with [`GATHER`] a second.
const IDLE: Duration = Duration::from_millis(900);
/// The pause after a commit that found no space.
const SECOND: Duration = Duration::from_secs(1);

/// Whether the state can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Yes.
    Good,
    /// No space: deliveries pause, nothing is freed, each second it is tried again.
    Full,
    /// No, until a restart.
    Broken,
}

/// The changes are not in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCommitted {
    /// No space; they will be once there is.
    #[error("no space for the state file")]
    Full,
    /// They will not be before a restart.
    #[error("state file cannot be written until a restart")]
    Broken,
}

/// The ledgers and their file; cheap to clone.
#[derive(Clone)]
pub struct State {
    shared: Arc<Shared>,
}

struct Shared {
    ledgers: Mutex<Ledgers>,
    store: Store,
    changed: Notify,
    /// Held over a commit, so that one batch is out at a time.
    committing: tokio::sync::Mutex<()>,
    condition: watch::Sender<Condition>,
    free_through: Box<dyn Fn(Option<Seq>) + Send + Sync>,
}

impl State {
    /// `free_through` hears after each commit up to where no destination needs the journal any more;
    /// `None` without destinations.
    pub fn new(
        store: Store,
        ledgers: Ledgers,
        free_through: impl Fn(Option<Seq>) + Send + Sync + 'static,
    ) -> Self {
        let shared = Shared {
            ledgers: Mutex::new(ledgers),
            store,
            changed: Notify::new(),
            committing: tokio::sync::Mutex::new(()),
            condition: watch::Sender::new(Condition::Good),
            free_through: Box::new(free_through),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Reads or changes the ledgers; changes are committed soon. Never waits for the disk.
    pub fn with<R>(&self, act: impl FnOnce(&mut Ledgers) -> R) -> R {
        let mut ledgers = self.shared.ledgers();
        let result = act(&mut ledgers);
        if ledgers.changed() {
            self.shared.changed.notify_one();
        }
        result
    }

    /// The bytes of a waiting event or a dead letter; `None` if it is neither any more.
    pub async fn event(&self, id: DestinationId, seq: Seq) -> Result<Option<Bytes>, ReadError> {
        let place = self.shared.ledgers().get(id).and_then(|ledger| ledger.event(seq));
        match place {
            None => Ok(None),
            Some(EventAt::Memory(bytes)) => Ok(Some(bytes)),
            Some(EventAt::Stored(event)) => {
                let read = self.shared.store.read(event).await;
                // It may have been delivered, and deleted, in the meantime.
                let still = self.shared.ledgers().get(id).is_some_and(|ledger| ledger.event(seq).is_some());
                if still { read.map(Some) } else { Ok(None) }
            }
        }
    }

    /// Whether the state can be kept.
    pub fn condition(&self) -> watch::Receiver<Condition> {
        self.shared.condition.subscribe()
    }

    /// Commits everything that changed until now.
    ///
    /// # Cancel safety
    /// Dropped, the commit goes on.
    pub async fn commit_now(&self) -> Result<(), NotCommitted> {
        let shared = self.shared.clone();
        tokio::spawn(async move { shared.commit().await }).await.unwrap_or(Err(NotCommitted::Broken))
    }

    /// Commits what changes until `stop`, then once more. Calls `tick` at least every second, unless a
    /// commit takes longer.
    pub async fn run(self, stop: CancellationToken, tick: impl Fn()) {
        let mut result = Ok(());
        loop {
            tick();
            let next = async {
                match result {
                    Ok(()) => {
                        sleep(GATHER).await;
                        let _ = timeout(IDLE, self.shared.changed.notified()).await;
                    }
                    Err(NotCommitted::Full | NotCommitted::Broken) => sleep(SECOND).await,
                }
            };
            if stop.run_until_cancelled(next).await.is_none() {
                break;
            }
            result = self.commit_now().await;
        }
        if let Err(error) = self.commit_now().await {
            tracing::error!(%error, "the last changes of the state are not kept: deliveries will repeat");
        }
    }
}

impl Shared {
    fn ledgers(&self) -> MutexGuard<'_, Ledgers> {
        self.ledgers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn commit(&self) -> Result<(), NotCommitted> {
        let _committing = self.committing.lock().await;
        if *self.condition.borrow() == Condition::Broken {
            return Err(NotCommitted::Broken);
        }
        // A statement of its own: the guard must not live across the commit.
        let batch = self.ledgers().take_batch();
        let Some(batch) = batch else { return Ok(()) };
        match self.store.commit(&batch).await {
            Ok(()) => {
                let free_through = self.ledgers().committed(&batch);
                self.become_condition(Condition::Good);
                (self.free_through)(free_through);
                Ok(())
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "state cannot be kept");
                self.ledgers().failed(batch);
                let (condition, error) = match error {
                    CommitError::Full(_) => (Condition::Full, NotCommitted::Full),
                    CommitError::Broken(_) => (Condition::Broken, NotCommitted::Broken),
                };
                self.become_condition(condition);
                Err(error)
            }
        }
    }

    fn become_condition(&self, condition: Condition) {
        self.condition.send_if_modified(|now| std::mem::replace(now, condition) != condition);
    }
}
