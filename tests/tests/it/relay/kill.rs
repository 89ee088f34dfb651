//! `kill -9` at random moments under load: what was promised is delivered, and no more often than a kill excuses.

use std::time::{Duration, Instant};

use rand::RngExt;
use serde_json::json;
use tokio::time::sleep;
use visnyk_tests::{
    conservation::{assert_adds_up, assert_conserved},
    manifest::{self, destination, with},
    proof::{report, seed, test_effort},
    relay::Relay,
    sender::Sender,
    sink::{Behaviour, Sink},
};

#[tokio::test(flavor = "multi_thread")]
async fn accepted_events_survive_kills_under_load() {
    let kills = test_effort(20, 500);
    let mut random = seed();

    let healthy = Sink::start(Behaviour::Ok).await;
    let flapping = Sink::start(Behaviour::Flap).await;
    let slow = Sink::start(Behaviour::Slow(Duration::from_millis(3))).await;
    let mut relay = Relay::start(&manifest::relay([
        destination("healthy", &healthy.url()),
        destination("flapping", &flapping.url()),
        with(destination("slow", &slow.url()), json!({"format": "Original", "concurrency": 64})),
    ]))
    .await;
    let sender = Sender::to(&relay);
    let began = Instant::now();
    let load = sender.begin(16);
    for _ in 0..kills {
        sleep(Duration::from_millis(random.random_range(20..400))).await;
        relay.kill();
        relay.restart().await;
        assert_adds_up(&relay.probes.status().await);
    }
    load.end().await;
    let per_second = sender.accepted() as u64 / began.elapsed().as_secs();
    assert!(sender.accepted() > 100, "too few events for a load: {}", sender.accepted());
    let sinks = [("healthy", &healthy), ("flapping", &flapping), ("slow", &slow)];
    assert_conserved(&mut relay, &sender, &sinks).await;
    let repeats = sinks.map(|(name, sink)| (name, repeats(sink)));
    report(
        "kills under load",
        &format!(
            "{kills} kills, {} acknowledged events at {per_second} a second, 0 lost, repeats {repeats:?}",
            sender.accepted()
        ),
    );
}

/// Returns the number of events that a sink took again.
fn repeats(sink: &Sink) -> usize {
    sink.ledger().values().map(|arrivals| arrivals.len() - 1).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn backlog_of_a_hanging_destination_survives_a_kill() {
    let sink = Sink::start(Behaviour::Hang).await;
    let mut relay = Relay::start(&manifest::relay([destination("sink", &sink.url())])).await;
    let sender = Sender::to(&relay);
    sender.send(500, 16).await;
    relay.kill();
    relay.restart().await;
    let status = relay.destination("sink").await;
    assert_eq!((&status["accepted"], &status["pending"]), (&json!(500), &json!(500)), "{status}");
    sink.set(Behaviour::Ok);
    assert_conserved(&mut relay, &sender, &[("sink", &sink)]).await;
}
