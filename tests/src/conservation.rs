//! The judge of promise 2: for each destination, accepted = delivered + dead-lettered + dropped + filtered + damaged
//! + pending, held against the sender's and the sinks' own ledgers.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    relay::{Relay, find},
    sender::{Ledger, Sender},
    sink::{Arrival, Sink},
};

/// Time before a kill within which a delivery may have been made but not recorded: a batch of state is written every
/// 100 ms, and a busy disk delays it.
const UNREMEMBERED: Duration = Duration::from_secs(2);

/// Asserts that every event the sender was promised reached each of these destinations, which have been
/// there since the first event and take what they get: unchanged, with no other beside, and twice only where
/// a kill came between. Ends with a fresh event delivered to all.
pub async fn assert_conserved(relay: &mut Relay, sender: &Sender, sinks: &[(&str, &Sink)]) {
    relay.process.assert_running();
    let settled = |status: &Value| sinks.iter().all(|(name, _)| find(status, name)["pending"] == 0);
    let status = relay.probes.until("nothing pending", settled).await;
    assert_adds_up(&status);
    let ledger = sender.ledger();
    for (name, sink) in sinks {
        let broken = broken_promises(&ledger, &sink.ledger(), relay.kills());
        assert!(broken.is_empty(), "{name}: {} promises broken: {broken:#?}", broken.len());
        let destination = find(&status, name);
        assert_eq!(destination["accepted"], status["accepted"], "{name}: {destination}");
        assert_eq!(destination["delivered"], sink.ledger().len(), "{name}: {destination}");
    }
    let accepted = status["accepted"].as_u64().unwrap();
    let promised = ledger.accepted.len() as u64;
    let possible = promised + ledger.unknown.len() as u64;
    assert!(
        (promised..=possible).contains(&accepted),
        "the relay counts {accepted} accepted events; the sender knows of {promised} to {possible}"
    );

    let fresh = sender.send_accepted().await;
    for (_, sink) in sinks {
        sink.took(&fresh).await;
    }
}

/// Asserts that in a status each destination's events are in exactly one term.
pub fn assert_adds_up(status: &Value) {
    for destination in status["destinations"].as_array().expect("a status lists its destinations") {
        let terms = ["delivered", "deadLettered", "dropped", "filtered", "damaged", "pending"];
        let sum: u64 = terms.iter().map(|term| count(destination, term)).sum();
        assert_eq!(count(destination, "accepted"), sum, "does not add up: {destination}");
    }
}

fn count(destination: &Value, term: &str) -> u64 {
    destination[term].as_u64().unwrap_or_else(|| panic!("{term} is not a number: {destination}"))
}

/// Compares a destination's ledger with the sender's. Empty: nothing was lost, changed or invented, and nothing came
/// twice but what a kill made the relay forget.
fn broken_promises(
    ledger: &Ledger,
    taken: &BTreeMap<String, Vec<Arrival>>,
    kills: &[Instant],
) -> Vec<String> {
    let lost = ledger.accepted.keys().filter(|id| !taken.contains_key(*id));
    let mut broken: Vec<String> = lost.map(|id| format!("{id} was lost")).collect();
    for (id, arrivals) in taken {
        for body in arrivals.iter().map(|arrival| &arrival.body).collect::<BTreeSet<_>>() {
            match ledger.accepted.get(id) {
                Some(sent) if sent == body => {}
                Some(_) => broken.push(format!("{id} was changed to {body:?}")),
                None if ledger.unknown.contains(body) => {}
                None => broken.push(format!("{id} was not accepted: {body:?}")),
            }
        }
        for pair in arrivals.windows(2) {
            let [first, second] = [pair[0].at, pair[1].at];
            let forgot = |kill: &Instant| (first..=second).contains(kill) && *kill - first <= UNREMEMBERED;
            if !kills.iter().any(forgot) {
                broken.push(format!("{id} came twice although no kill came soon after the first time"));
            }
        }
    }
    broken
}

#[cfg(test)]
mod tests;
