//! The loop that reads the journal for all destinations, and decides about each event.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tracing::error;
use visnyk_runtime::observe::causes::with_causes;
use visnyk_runtime::observe::watchdog::Ticker;

use super::chunk::{ChunkError, ChunkReader};
use super::desk::Triage;
use super::event_log::EventLog;
use super::tail::Tail;
use crate::journal::Seq;

/// Maximum sleep of the loop: a small part of the watchdog's bound.
const MAX_SLEEP: Duration = Duration::from_secs(2);

/// The loop; [`EventReader::run`] is its life.
pub struct EventReader {
    log: Arc<dyn EventLog>,
    triage: Arc<Triage>,
    /// Where the chunks go. It is gone once there are neither dispatchers nor a fleet to start one.
    tail: Weak<Tail>,
    wanted: watch::Receiver<Seq>,
    watermark: watch::Receiver<Seq>,
    chunks: Option<ChunkReader>,
    ticker: Ticker,
}

impl EventReader {
    /// Makes a reader of `log` that decides by `triage` and fills `tail`.
    pub fn new(log: Arc<dyn EventLog>, triage: Arc<Triage>, tail: &Arc<Tail>, ticker: Ticker) -> Self {
        let (wanted, watermark) = (tail.wanted(), log.watch_watermark());
        Self { log, triage, tail: Arc::downgrade(tail), wanted, watermark, chunks: None, ticker }
    }

    /// Reads until the tail is gone.
    pub async fn run(mut self) {
        while self.tail.strong_count() > 0 {
            self.ticker.tick();
            // A step that takes longer is picked up by the next.
            let _ = timeout(MAX_SLEEP, self.step()).await;
        }
    }

    /// Waits until something that is to be read is synced, and reads it.
    async fn step(&mut self) {
        let Some(end) = self.tail.upgrade().and_then(|tail| tail.end()) else {
            // An error says that the tail is gone, which the loop sees.
            let _ = self.wanted.changed().await;
            return;
        };
        if self.wanted.wait_for(|wanted| *wanted > end).await.is_err() {
            return;
        }
        if self.watermark.wait_for(|synced| *synced > end).await.is_err() {
            // The journal is closed: nothing more will ever come.
            return std::future::pending().await;
        }
        let through = *self.watermark.borrow();
        if self.chunks.as_ref().is_none_or(|chunks| chunks.read_to() != end) {
            let (log, triage) = (Arc::clone(&self.log), Arc::clone(&self.triage));
            self.chunks = Some(ChunkReader::new(log, triage, end).deciding());
        }
        let Some(chunks) = &mut self.chunks else { return };
        match chunks.next(through).await {
            Ok(chunk) => {
                let last = chunk.last();
                self.triage.report().set_problem(None);
                if let Some(tail) = self.tail.upgrade() {
                    tail.push(chunk);
                    tail.follow_destinations_unless(|| self.triage.decides(last));
                    self.triage.set_decided_to(tail.decided_to());
                }
            }
            Err(error) => {
                if let ChunkError::Decisions(_) = error {
                    self.triage.report().set_problem(Some(with_causes(&error)));
                }
                error!(error = with_causes(&error), "cannot read or decide, deliveries pause");
            }
        }
    }
}
