//! What the relay shows of itself at its health address.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use visnyk_crds::valid::ValidatedRelay;
use visnyk_engine::configuration::Configuration;
use visnyk_engine::journal;
use visnyk_engine::observe::{metrics::Metrics, readiness::Readiness, watchdog::Watchdog};
use visnyk_engine::serve::health::Face;
use visnyk_engine::spool::Spool;
use visnyk_engine::state;

/// Everything there is to see.
pub struct RelayFace {
    /// The loops that must turn.
    pub watchdog: Watchdog,
    /// What is needed before an event can be accepted.
    pub readiness: Readiness,
    /// The figures.
    pub metrics: Metrics,
    /// What is in force.
    pub configuration: Arc<Configuration<ValidatedRelay>>,
    /// What is kept.
    pub spool: Spool,
    /// Whether the listener was bound.
    pub started: Arc<AtomicBool>,
}

impl Face for RelayFace {
    fn live(&self) -> Vec<String> {
        let stale = self.watchdog.stale();
        stale.iter().map(|stale| format!("{}: no tick for {:?}", stale.name, stale.silent)).collect()
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
        let started = self.started.load(Ordering::Relaxed);
        if started { Vec::new() } else { vec!["listener: not bound yet".into()] }
    }

    fn metrics(&self) -> String {
        self.metrics.encode()
    }

    fn status(&self) -> Value {
        crate::status::status(&self.spool, &self.configuration)
    }
}

impl RelayFace {
    fn journal_trouble(&self) -> Option<String> {
        match self.spool.shared.journal.condition() {
            journal::Condition::Writable => None,
            journal::Condition::Full => Some("journal: full".into()),
            journal::Condition::Failing { reason } => Some(format!("journal: {reason}")),
        }
    }

    /// A full state file only pauses deliveries: events can still be accepted until the journal is full too.
    fn state_trouble(&self) -> Option<String> {
        let broken = *self.spool.shared.state.borrow() == state::Condition::Broken;
        broken.then(|| "state file: cannot be written until a restart".into())
    }
}
