//! The judge of promise 2: for each destination, accepted = delivered + dead-lettered + dropped + damaged
//! + pending, held against the sender's and the sinks' own ledgers.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    relay::{Relay, find},
    sender::Sender,
    sink::Sink,
};

/// How long before a kill a delivery may have been made without its being remembered: a batch of state is
/// written every 100 ms, and a busy disk takes its time.
const UNREMEMBERED: Duration = Duration::from_secs(2);

/// Asserts that every event the sender was promised reached each of these destinations, which have been
/// there since the first event and take what they get: unchanged, with no other beside, and twice only where
/// a kill came between. Ends with a fresh event delivered to all.
pub async fn assert_conserved(relay: &mut Relay, sender: &Sender, sinks: &[(&str, &Sink)]) {
    relay.process.assert_running();
    let status = relay
        .probes
        .until("nothing pending", |status| sinks.iter().all(|(name, _)| find(status, name)["pending"] == 0))
        .await;
    assert_adds_up(&status);
    let ledger = sender.ledger();
    let accepted = status["accepted"].as_u64().unwrap();
    let promised = ledger.accepted.len() as u64;
    let possible = promised + ledger.unknown.len() as u64;
    assert!(
        (promised..=possible).contains(&accepted),
        "the relay counts {accepted} accepted events; the sender knows of {promised} to {possible}"
    );

    for (name, sink) in sinks {
        let taken = sink.ledger();
        let lost: Vec<_> = ledger.accepted.keys().filter(|id| !taken.contains_key(*id)).collect();
        assert!(lost.is_empty(), "{name}: {} of {promised} events were lost: {lost:?}", lost.len());
        for (id, arrivals) in &taken {
            let bodies: BTreeSet<_> = arrivals.iter().map(|arrival| &arrival.body).collect();
            let [body] = bodies.iter().collect::<Vec<_>>()[..] else {
                panic!("{name}: event {id} came with different bodies: {bodies:?}")
            };
            match ledger.accepted.get(id) {
                Some(sent) => assert_eq!(**body, sent, "{name}: event {id} was changed"),
                None => assert!(ledger.unknown.contains(*body), "{name}: nobody sent {id}: {body:?}"),
            }
            for pair in arrivals.windows(2) {
                let [first, second] = [pair[0].at, pair[1].at];
                let forgot =
                    |kill: &Instant| (first..=second).contains(kill) && *kill - first <= UNREMEMBERED;
                assert!(
                    relay.kills().iter().any(forgot),
                    "{name}: event {id} was delivered twice although no kill came soon after the first time"
                );
            }
        }
        let destination = find(&status, name);
        assert_eq!(destination["accepted"], accepted, "{name}: {destination}");
        assert_eq!(destination["delivered"], taken.len(), "{name}: {destination}");
    }

    let fresh = sender.send_accepted().await;
    for (_, sink) in sinks {
        sink.took(&fresh).await;
    }
}

/// Asserts that in a status each destination's events are in exactly one term.
pub fn assert_adds_up(status: &Value) {
    for destination in status["destinations"].as_array().expect("a status lists its destinations") {
        let terms = ["delivered", "deadLettered", "dropped", "damaged", "pending"];
        let sum: u64 = terms.iter().map(|term| count(destination, term)).sum();
        assert_eq!(count(destination, "accepted"), sum, "does not add up: {destination}");
    }
}

fn count(destination: &Value, term: &str) -> u64 {
    destination[term].as_u64().unwrap_or_else(|| panic!("{term} is not a number: {destination}"))
}
