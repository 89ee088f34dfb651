//! `kill -9` at random moments under load: what was promised is delivered, and no more often than a kill excuses.

use std::{env, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use tokio::time::sleep;
use visnyk_tests::{
    conservation::{assert_adds_up, assert_conserved},
    manifest::{self, destination, with},
    relay::Relay,
    sender::Sender,
    sink::{Behaviour, Sink},
};

/// The number in an environment variable.
fn variable(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_events_survive_kills_under_load() {
    let rounds = variable("VISNYK_KILL_ROUNDS").unwrap_or(20);
    let seed = variable("VISNYK_KILL_SEED").unwrap_or_else(rand::random);
    eprintln!("VISNYK_KILL_ROUNDS={rounds} VISNYK_KILL_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);

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
    let load = sender.begin(16);
    for _ in 0..rounds {
        sleep(Duration::from_millis(random.random_range(20..400))).await;
        relay.kill();
        relay.restart().await;
        assert_adds_up(&relay.probes.status().await);
    }
    load.end().await;
    assert!(sender.accepted() > 100, "too few events for a load: {}", sender.accepted());
    let sinks = [("healthy", &healthy), ("flapping", &flapping), ("slow", &slow)];
    assert_conserved(&mut relay, &sender, &sinks).await;
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
