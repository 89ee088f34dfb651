//! `/status`: the conservation sum of each destination as one snapshot, the results of each source's requests, and
//! the active configuration and certificate.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use visnyk_crds::contract::status::{
    DestinationState, DestinationStatus, RelayStatus, RuleStatus, SourceStatus,
};
use visnyk_engine::deliver::report::DeliveryReport;
use visnyk_engine::spool::{Snapshot, Spool};
use visnyk_engine::state::{self, Lifecycle};
use visnyk_engine::triage::TriageCounts;
use visnyk_runtime::admin::process_status;
use visnyk_runtime::host::configuration::Configuration;
use visnyk_runtime::server::tls::Tls;

use crate::active::Active;
use crate::metrics::{Counts, IntakeMetrics};
use crate::sources::SourceEndpoint;

/// Everything that the status shows. Clones share it.
#[derive(Clone)]
pub struct Status {
    spool: Spool,
    deliveries: DeliveryReport,
    active: Arc<Configuration<Active>>,
    intake: IntakeMetrics,
    tls: Option<Tls>,
}

impl Status {
    /// Returns a status of the spool, its deliveries, the active configuration, the sources, the metrics, and the listener, if there
    /// is one.
    pub fn of(
        spool: &Spool,
        deliveries: &DeliveryReport,
        active: &Arc<Configuration<Active>>,
        intake: &IntakeMetrics,
        tls: Option<&Tls>,
    ) -> Self {
        Self {
            spool: spool.clone(),
            deliveries: deliveries.clone(),
            active: Arc::clone(active),
            intake: intake.clone(),
            tls: tls.cloned(),
        }
    }

    /// Returns the status now.
    pub fn now(&self) -> RelayStatus {
        let Snapshot { accepted, destinations } = self.spool.snapshot();
        let now_ms = Timestamp::now().as_millisecond();
        let active = self.active.current();
        let certificate = self.tls.as_ref().map(Tls::status).unwrap_or_default();
        let triage = self.deliveries.triage.counts();
        RelayStatus {
            rules: rules(&triage),
            unmatched: triage.unmatched,
            without_rules: triage.without_rules,
            decision_problem: triage.problem,
            process: process_status(
                &active.valid.identity,
                self.active.problem(),
                certificate,
                self.spool.problem(),
            ),
            accepted,
            torn_tail: self.spool.recovery().torn_tail,
            state_set_aside: self.spool.set_aside().map(|path| path.display().to_string()),
            state_lost: self.spool.state_lost(),
            destinations: destinations
                .iter()
                .map(|counts| destination(counts, &self.deliveries, now_ms))
                .collect(),
            sources: active.endpoints.iter().map(|endpoint| self.source(endpoint)).collect(),
        }
    }

    /// Returns the counts of a source since this process started, and what it waits for.
    fn source(&self, endpoint: &SourceEndpoint) -> SourceStatus {
        let Counts { accepted, repeats, greetings, refused } = self.intake.of(&endpoint.source.name);
        SourceStatus {
            name: endpoint.source.name.clone(),
            accepted,
            repeats,
            greetings,
            refused: refused.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect(),
            waits_for: (!endpoint.problems.is_empty()).then(|| endpoint.problems.join("; ")),
        }
    }
}

/// Returns the rules that dropped an event or failed, by name.
fn rules(triage: &TriageCounts) -> Vec<RuleStatus> {
    let of = |name: &String| RuleStatus {
        name: name.clone(),
        dropped: triage.dropped.get(name).copied().unwrap_or(0),
        errors: triage.errors.get(name).copied().unwrap_or(0),
    };
    let names: BTreeSet<_> = triage.dropped.keys().chain(triage.errors.keys()).collect();
    names.into_iter().map(of).collect()
}

fn destination(
    counts: &state::DestinationStatus,
    deliveries: &DeliveryReport,
    now_ms: i64,
) -> DestinationStatus {
    let age = |at_ms: i64| now_ms.saturating_sub(at_ms).max(0).unsigned_abs() / 1000;
    DestinationStatus {
        name: counts.name.clone(),
        accepted: counts.accepted,
        delivered: counts.delivered,
        dead_lettered: counts.dead_lettered,
        dropped: counts.dropped,
        filtered: counts.filtered,
        damaged: counts.damaged,
        pending: counts.pending,
        undecided: counts.undecided,
        oldest_pending_seconds: counts.oldest_pending_ms.map(age),
        concurrency_limit: deliveries.metrics.concurrency_limit(&counts.name),
        state: lifecycle(counts.lifecycle),
        waits_for: deliveries.blocked.of(&counts.name),
        last_failure: deliveries.last_failures.of(&counts.name),
    }
}

fn lifecycle(lifecycle: Lifecycle) -> DestinationState {
    match lifecycle {
        Lifecycle::Active => DestinationState::Active,
        Lifecycle::Disabled => DestinationState::Disabled,
        Lifecycle::Removed { .. } => DestinationState::Removed,
    }
}
