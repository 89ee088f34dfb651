//! The HTTP endpoints of the relay for probes, metrics and status.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};
use visnyk_engine::spool::Spool;
use visnyk_engine::state;
use visnyk_runtime::admin::health::HealthEndpoints;
use visnyk_runtime::observe::{metrics::Metrics, readiness::Readiness, watchdog::Watchdog};

use crate::status::Status;

/// Progress of the opening, for the endpoints.
#[derive(Default)]
pub struct Opening {
    /// The spool, once it is open.
    pub spool: OnceLock<Spool>,
    /// Set when the first attempt failed, so that it is more than a start.
    pub in_trouble: OnceLock<()>,
}

/// State that the endpoints show.
pub struct RelayEndpoints {
    /// The loops that must run.
    pub watchdog: Watchdog,
    /// The conditions for accepting an event.
    pub readiness: Readiness,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// The spool, once it is open.
    pub opening: Arc<Opening>,
    /// The content of `/status`, once a configuration is active.
    pub status: Arc<OnceLock<Status>>,
    /// Set once the listener is bound.
    pub started: Arc<AtomicBool>,
}

impl HealthEndpoints for RelayEndpoints {
    fn live(&self) -> Vec<String> {
        self.watchdog.stale().iter().map(ToString::to_string).collect()
    }

    fn ready(&self) -> Vec<String> {
        let unmet = self.readiness.unmet();
        let started = self.started().into_iter();
        unmet
            .iter()
            .map(ToString::to_string)
            .chain(started)
            .chain(self.journal_trouble())
            .chain(self.state_trouble())
            .collect()
    }

    fn started(&self) -> Vec<String> {
        // Whoever cannot open the spool has ended its start, and waits for the disk: that is for readiness to say.
        let in_trouble = self.opening.in_trouble.get().is_some();
        let started = self.started.load(Ordering::Relaxed) || in_trouble;
        if started { Vec::new() } else { vec!["listener: not bound yet".into()] }
    }

    fn metrics(&self) -> String {
        self.metrics.encode()
    }

    fn status(&self) -> Value {
        self.status.get().map_or_else(|| json!({}), |status| json!(status.now()))
    }
}

impl RelayEndpoints {
    fn journal_trouble(&self) -> Option<String> {
        Some(format!("journal: {}", self.opening.spool.get()?.problem()?))
    }

    /// Returns trouble of the state file. A full one only pauses deliveries: events can be accepted until the journal
    /// is full too.
    fn state_trouble(&self) -> Option<String> {
        let broken = *self.opening.spool.get()?.commit_state().borrow() == state::CommitState::Broken;
        broken.then(|| "state file: cannot be written".into())
    }
}
