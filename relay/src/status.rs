//! `/status`: the conservation sum of each destination as one snapshot, the results of each source's requests, and
//! the active configuration and certificate.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use visnyk_crds::valid::ValidatedRelay;
use visnyk_engine::configuration::Configuration;
use visnyk_engine::deliver::waits::Waits;
use visnyk_engine::serve::tls::Tls;
use visnyk_engine::spool::{Snapshot, Spool};
use visnyk_engine::state::{DestinationStatus, Lifecycle};

use crate::metrics::{Counts, IntakeMetrics};
use crate::sources::{Gate, Gates};

/// Everything that the status shows. Clones share it.
#[derive(Clone)]
pub struct Status {
    spool: Spool,
    configuration: Arc<Configuration<ValidatedRelay>>,
    gates: Arc<Gates>,
    intake: IntakeMetrics,
    tls: Option<Tls>,
}

impl Status {
    /// Returns a status of the spool, the active configuration, the sources, the metrics, and the listener, if there
    /// is one.
    pub fn of(
        spool: &Spool,
        configuration: &Arc<Configuration<ValidatedRelay>>,
        gates: &Arc<Gates>,
        intake: &IntakeMetrics,
        tls: Option<&Tls>,
    ) -> Self {
        Self {
            spool: spool.clone(),
            configuration: Arc::clone(configuration),
            gates: Arc::clone(gates),
            intake: intake.clone(),
            tls: tls.cloned(),
        }
    }

    /// Returns the present status.
    pub fn now(&self) -> Value {
        let Snapshot { accepted, destinations } = self.spool.snapshot();
        let now_ms = Timestamp::now().as_millisecond();
        let (waits, identity) = (&self.spool.shared.waits, &self.configuration.current().identity);
        let certificate = self.tls.as_ref().map(Tls::status).unwrap_or_default();
        let destinations = destinations.iter().map(|status| destination(status, waits, now_ms));
        json!({
            "accepted": accepted,
            "configurationHash": identity.configuration_hash,
            "generation": identity.generation,
            "manifestProblem": self.configuration.problem(),
            "certificateNotBefore": certificate.not_before.map(|time| time.to_string()),
            "certificateNotAfter": certificate.not_after.map(|time| time.to_string()),
            "certificateProblem": certificate.problem,
            "tornTail": self.spool.recovery().torn_tail,
            "stateSetAside": self.spool.set_aside().map(|path| path.display().to_string()),
            "stateLost": self.spool.state_lost(),
            "destinations": destinations.collect::<Vec<_>>(),
            "sources": self.gates.all().iter().map(|gate| self.source(gate)).collect::<Vec<_>>(),
        })
    }

    /// Returns the counts of a source since this process started, and what it waits for.
    fn source(&self, gate: &Gate) -> Value {
        let Counts { accepted, repeats, greetings, refused } = self.intake.of(&gate.source.name);
        json!({
            "name": gate.source.name,
            "accepted": accepted,
            "repeats": repeats,
            "greetings": greetings,
            "refused": refused,
            "waitsFor": (!gate.problems.is_empty()).then(|| gate.problems.join("; ")),
        })
    }
}

fn destination(status: &DestinationStatus, waits: &Waits, now_ms: i64) -> Value {
    json!({
        "name": status.name,
        "accepted": status.accepted,
        "delivered": status.delivered,
        "deadLettered": status.dead_lettered,
        "dropped": status.dropped,
        "damaged": status.damaged,
        "pending": status.pending,
        "oldestPendingSeconds": status.oldest_pending_ms.map(|at_ms| now_ms.saturating_sub(at_ms).max(0) / 1000),
        "state": state(status.lifecycle),
        "waitsFor": waits.of(&status.name),
    })
}

fn state(lifecycle: Lifecycle) -> &'static str {
    match lifecycle {
        Lifecycle::Active => "Active",
        Lifecycle::Disabled => "Disabled",
        Lifecycle::Removed { .. } => "Removed",
    }
}
