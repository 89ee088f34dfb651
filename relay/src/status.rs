//! `/status`: the sum of promise 2 for each destination, all of one moment, and which configuration is in force.

use jiff::Timestamp;
use serde_json::{Value, json};
use visnyk_crds::valid::ValidatedRelay;
use visnyk_engine::configuration::Configuration;
use visnyk_engine::deliver::waits::Waits;
use visnyk_engine::spool::{Snapshot, Spool};
use visnyk_engine::state::{DestinationStatus, Lifecycle};

/// The status now.
pub fn status(spool: &Spool, configuration: &Configuration<ValidatedRelay>) -> Value {
    let Snapshot { accepted, destinations } = spool.snapshot();
    let now_ms = Timestamp::now().as_millisecond();
    let identity = &configuration.current().identity;
    json!({
        "accepted": accepted,
        "configurationHash": identity.configuration_hash,
        "generation": identity.generation,
        "manifestProblem": configuration.problem(),
        "tornTail": spool.recovery().torn_tail,
        "stateSetAside": spool.set_aside().map(|path| path.display().to_string()),
        "destinations": destinations.iter().map(|status| destination(status, &spool.shared.waits, now_ms)).collect::<Vec<_>>(),
    })
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
