//! The lock around the ledgers: dispatchers record the outcome of events, and the committer writes the changes to the
//! file.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::ledgers::Ledgers;

/// The ledgers behind a lock. Clones share them.
#[derive(Clone, Debug)]
pub struct SharedLedgers {
    ledgers: Arc<Mutex<Ledgers>>,
    touched: Arc<Notify>,
}

impl SharedLedgers {
    /// Makes a lock around these ledgers, whose handles can be cloned.
    pub fn new(ledgers: Ledgers) -> Self {
        Self { ledgers: Arc::new(Mutex::new(ledgers)), touched: Arc::default() }
    }

    /// Locks the ledgers. Do not hold the guard across an await. Wakes the committer, because the holder may change
    /// them.
    pub fn lock(&self) -> MutexGuard<'_, Ledgers> {
        let ledgers = self.lock_unnoticed();
        self.touched.notify_one();
        ledgers
    }

    /// Locks the ledgers without waking the committer: for the committer itself, and for readers.
    pub(crate) fn lock_unnoticed(&self) -> MutexGuard<'_, Ledgers> {
        self.ledgers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the ledgers were locked since the last call.
    pub(super) async fn touched(&self) {
        self.touched.notified().await;
    }
}
