//! The ledgers between those who work with them: dispatchers say what became of events, the committer writes it down.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::ledgers::Ledgers;

/// The ledgers; clones are the same ones.
#[derive(Clone, Debug)]
pub struct SharedLedgers {
    ledgers: Arc<Mutex<Ledgers>>,
    touched: Arc<Notify>,
}

impl SharedLedgers {
    /// Shares these.
    pub fn new(ledgers: Ledgers) -> Self {
        Self { ledgers: Arc::new(Mutex::new(ledgers)), touched: Arc::default() }
    }

    /// The ledgers, for as long as a line of code. Whoever has them may change them, so the committer looks soon.
    pub fn lock(&self) -> MutexGuard<'_, Ledgers> {
        let ledgers = self.lock_unnoticed();
        self.touched.notify_one();
        ledgers
    }

    /// The same for who changes nothing, and for the committer itself: the committer is not told.
    pub(crate) fn lock_unnoticed(&self) -> MutexGuard<'_, Ledgers> {
        self.ledgers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until somebody has had them since the last call.
    pub(super) async fn touched(&self) {
        self.touched.notified().await;
    }
}
