//! Endpoints of the operator at its health address. Liveness does not depend on resources: a restart would not mend
//! them. Every operator that sees its API is ready, the one that leads and those that wait.

use serde_json::{Value, json};
use visnyk_runtime::admin::health::HealthEndpoints;
use visnyk_runtime::observe::{metrics::Metrics, readiness::Readiness, watchdog::Watchdog};

use crate::process::fence::Fence;

/// State that the endpoints show.
pub struct OperatorEndpoints {
    /// Watchdog of the loops.
    pub watchdog: Watchdog,
    /// Conditions that must hold before anything can be reconciled.
    pub readiness: Readiness,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// Open while this operator leads.
    pub fence: Fence,
}

impl HealthEndpoints for OperatorEndpoints {
    fn live(&self) -> Vec<String> {
        self.watchdog.stale().iter().map(ToString::to_string).collect()
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
