//! Everything that deliveries report, for metrics and `/status`.

use super::blocked_destinations::BlockedDestinations;
use super::last_failures::LastFailures;
use super::metrics::DeliveryMetrics;
use crate::triage::TriageReport;

/// Reports of the dispatchers of a process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct DeliveryReport {
    /// Attempts by destination and outcome.
    pub metrics: DeliveryMetrics,
    /// The destinations whose deliveries wait for something, such as a Secret.
    pub blocked: BlockedDestinations,
    /// The failure of the last attempt, by destination.
    pub last_failures: LastFailures,
    /// Counts of what the rules did.
    pub triage: TriageReport,
}
