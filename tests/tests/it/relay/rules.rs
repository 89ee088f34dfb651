//! Rules: each event is in one term of the sum, and what was decided stands, over kills and changes of the manifest.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::RngExt;
use serde_json::{Value, json};
use tokio::time::sleep;
use visnyk_tests::{
    conservation::assert_adds_up,
    manifest::{self, destination, with},
    proof::{report, seed, test_effort},
    relay::{Relay, find},
    sender::Sender,
    sink::{Behaviour, Sink},
};

/// Returns a manifest whose rule drops each tenth event, and whose destination `some` gets those with this remainder.
fn ruled(all: &Sink, some: &Sink, remainder: u64) -> Value {
    let when = json!({"when": format!("body.number % 2 == {remainder}")});
    let mut relay =
        manifest::relay([destination("all", &all.url()), with(destination("some", &some.url()), when)]);
    relay["spec"]["rules"] = json!([{"name": "tenth", "when": "body.number % 10 == 0", "drop": {}}]);
    relay
}

/// Returns the numbers of the events that a sink took.
fn numbers(sink: &Sink) -> BTreeSet<u64> {
    let number = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["number"].as_u64().unwrap();
    sink.ledger().values().map(|arrivals| number(&arrivals[0].body)).collect()
}

/// Waits until nothing is pending; asserts that each destination's terms are what its sink took and did not.
async fn assert_settled(relay: &Relay, sinks: &[(&str, &Sink)]) -> Value {
    let settled = |status: &Value| sinks.iter().all(|(name, _)| find(status, name)["pending"] == 0);
    let status = relay.probes.until("nothing pending", settled).await;
    assert_adds_up(&status);
    for (name, sink) in sinks {
        let destination = find(&status, name);
        assert_eq!(destination["accepted"], status["accepted"], "{name}: {destination}");
        assert_eq!(destination["delivered"], sink.ledger().len(), "{name}: {destination}");
        assert_eq!((&destination["deadLettered"], &destination["damaged"]), (&json!(0), &json!(0)));
    }
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_delivered_filtered_or_dropped_by_name() {
    let [all, some] = [Sink::start(Behaviour::Ok).await, Sink::start(Behaviour::Ok).await];
    let relay = Relay::start(&ruled(&all, &some, 0)).await;
    Sender::to(&relay).send(100, 8).await;
    let status = assert_settled(&relay, &[("all", &all), ("some", &some)]).await;
    let terms = |name| ["delivered", "filtered", "dropped"].map(|term| find(&status, name)[term].clone());
    assert_eq!(terms("all"), [json!(90), json!(0), json!(10)]);
    assert_eq!(terms("some"), [json!(40), json!(50), json!(10)]);
    assert_eq!(status["rules"], json!([{"name": "tenth", "dropped": 10, "errors": 0}]));
    assert_eq!(numbers(&some), (1..=100).filter(|number| number % 2 == 0 && number % 10 > 0).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_decisions_stand_though_the_manifest_changed_after_a_kill() {
    let [all, some] = [Sink::start(Behaviour::Ok).await, Sink::start(Behaviour::Hang).await];
    let mut relay = Relay::start(&ruled(&all, &some, 0)).await;
    let sender = Sender::to(&relay);
    sender.send(100, 8).await;
    relay.until("some", "decided", |some| some["undecided"] == 0).await;
    relay.kill();
    relay.restart_with(&ruled(&all, &some, 1)).await;
    some.set(Behaviour::Ok);
    sender.send(20, 4).await;
    assert_settled(&relay, &[("all", &all), ("some", &some)]).await;
    let before = (1..=100).filter(|number| number % 2 == 0 && number % 10 > 0);
    let after = (101..=120).filter(|number| number % 2 == 1);
    assert_eq!(numbers(&some), before.chain(after).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn sum_adds_up_over_kills_and_changes_of_rules_under_load() {
    let kills = test_effort(10, 300);
    let mut random = seed();
    let [all, some] = [Sink::start(Behaviour::Ok).await, Sink::start(Behaviour::Flap).await];
    let manifests = [0, 1].map(|remainder| ruled(&all, &some, remainder));
    let mut active = 0;
    let mut relay = Relay::start(&manifests[active]).await;
    let sender = Sender::to(&relay);
    let load = sender.begin(2);
    for _ in 0..kills {
        sleep(Duration::from_millis(random.random_range(20..400))).await;
        relay.apply(&manifests[1 - active]).await;
        sleep(Duration::from_millis(random.random_range(20..200))).await;
        relay.kill();
        active = random.random_range(0..2);
        relay.restart_with(&manifests[active]).await;
        assert_adds_up(&relay.probes.status().await);
    }
    load.end().await;
    assert_settled(&relay, &[("all", &all), ("some", &some)]).await;
    // Each accepted event came, but for those that the rule dropped.
    let ledger = sender.ledger();
    let arrived = all.ledger();
    for (id, body) in &ledger.accepted {
        let number = serde_json::from_slice::<Value>(body).unwrap()["number"].as_u64().unwrap();
        assert_eq!(arrived.contains_key(id), !number.is_multiple_of(10), "event {number}");
    }
    report(
        "kills with rules",
        &format!("{kills} kills and changes, {} acknowledged events, 0 lost", sender.accepted()),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_destination_keeps_its_when_over_a_restart() {
    let [all, some] = [Sink::start(Behaviour::Ok).await, Sink::start(Behaviour::Ok).await];
    let both = ruled(&all, &some, 0);
    let mut relay = Relay::start(&both).await;
    let sender = Sender::to(&relay);
    sender.send(10, 4).await;
    relay.until("some", "nothing pending", |some| some["pending"] == 0).await;
    let mut one = both.clone();
    one["spec"]["destinations"].as_array_mut().unwrap().remove(1);
    relay.apply(&one).await;
    sender.send(10, 4).await;
    relay.until("all", "nothing pending", |all| all["pending"] == 0).await;
    relay.kill();
    relay.restart().await;
    sender.send(10, 4).await;
    relay.until("some", "decided", |some| some["undecided"] == 0).await;
    // It comes back with another condition, which is for later events.
    relay.apply(&ruled(&all, &some, 1)).await;
    assert_settled(&relay, &[("all", &all), ("some", &some)]).await;
    assert_eq!(numbers(&some), (1..=30).filter(|number| number % 2 == 0 && number % 10 > 0).collect());
}
