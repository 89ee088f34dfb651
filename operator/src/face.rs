//! What the operator shows of itself at its health address. Alive says nothing about resources: a restart would
//! not mend them. Ready is every operator that sees its API, the one that leads and those that wait.

use serde_json::{Value, json};
use visnyk_runtime::admin::health::HealthEndpoints;
use visnyk_runtime::observe::{metrics::Metrics, readiness::Readiness, watchdog::Watchdog};

use crate::fence::Fence;

/// Everything there is to see.
pub struct OperatorFace {
    /// The loops that must turn.
    pub watchdog: Watchdog,
    /// What is needed before anything can be reconciled.
    pub readiness: Readiness,
    /// The figures.
    pub metrics: Metrics,
    /// Open while this operator leads.
    pub fence: Fence,
}

impl HealthEndpoints for OperatorFace {
    fn live(&self) -> Vec<String> {
        let stale = self.watchdog.stale();
        stale.iter().map(|stale| format!("{}: no tick for {:?}", stale.name, stale.silent)).collect()
    }

    fn ready(&self) -> Vec<String> {
        self.readiness.unmet().iter().map(ToString::to_string).collect()
    }

    fn started(&self) -> Vec<String> {
        Vec::new()
    }

    fn metrics(&self) -> String {
        self.metrics.encode()
    }

    fn status(&self) -> Value {
        json!({"leading": self.fence.is_open()})
    }
}
