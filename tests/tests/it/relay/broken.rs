//! A destination that is broken in any way, beside a healthy one that must not notice.

use std::time::{Duration, Instant};

use serde_json::json;
use visnyk_tests::{
    conservation::{assert_adds_up, assert_conserved},
    manifest::{self, destination, with},
    relay::Relay,
    sender::Sender,
    sink::{Behaviour, Sink},
};

/// Sends while one destination is broken in this way, then mends it.
async fn broken_beside_healthy(broken: Behaviour) {
    let sick = Sink::start(broken).await;
    let healthy = Sink::start(Behaviour::Ok).await;
    let manifest =
        manifest::relay([destination("sick", &sick.url()), destination("healthy", &healthy.url())]);
    let mut relay = Relay::start(&manifest).await;
    let sender = Sender::to(&relay);
    sender.send(200, 8).await;
    healthy.took_events(200).await;
    sick.attempted(1).await;
    let status = relay.probes.status().await;
    assert_adds_up(&status);
    let pending = relay.destination("sick").await;
    assert_eq!((&pending["pending"], &pending["delivered"]), (&json!(200), &json!(0)), "{pending}");
    assert!(pending["oldestPendingSeconds"].is_number(), "{pending}");
    sick.set(Behaviour::Ok);
    assert_conserved(&mut relay, &sender, &[("sick", &sick), ("healthy", &healthy)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_destination_holds_up_no_other() {
    broken_beside_healthy(Behaviour::Hang).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resetting_destination_holds_up_no_other() {
    broken_beside_healthy(Behaviour::Reset).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_destination_holds_up_no_other() {
    broken_beside_healthy(Behaviour::Answer(500, None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overloaded_destination_holds_up_no_other() {
    broken_beside_healthy(Behaviour::Answer(429, Some(("retry-after", "1".into())))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redirect_is_a_failure_and_is_not_followed() {
    let elsewhere = Sink::start(Behaviour::Ok).await;
    broken_beside_healthy(Behaviour::Answer(301, Some(("location", elsewhere.url())))).await;
    assert_eq!(elsewhere.arrivals().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_destination_is_disabled_and_keeps_its_events() {
    let gone = Sink::start(Behaviour::Answer(410, None)).await;
    let healthy = Sink::start(Behaviour::Ok).await;
    let at =
        |url: &str| manifest::relay([destination("moving", url), destination("healthy", &healthy.url())]);
    let mut relay = Relay::start(&at(&gone.url())).await;
    let sender = Sender::to(&relay);
    sender.send(50, 4).await;
    healthy.took_events(50).await;
    let disabled = relay.until("moving", "disabled", |moving| moving["state"] == "Disabled").await;
    assert_eq!((&disabled["pending"], &disabled["delivered"]), (&json!(50), &json!(0)), "{disabled}");

    // Killed at once, it might have forgotten that, and would ask once more; once it is written, a kill takes nothing away.
    relay.terminate().await;
    for _ in 0..2 {
        relay.restart().await;
        let after = relay.destination("moving").await;
        assert_eq!((&after["pending"], &after["state"]), (&json!(50), &json!("Disabled")), "{after}");
        relay.kill();
    }
    relay.restart().await;

    let found = Sink::start(Behaviour::Ok).await;
    relay.apply(&at(&found.url())).await;
    assert_conserved(&mut relay, &sender, &[("moving", &found), ("healthy", &healthy)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn destination_waits_as_long_as_it_is_told_to() {
    let sink = Sink::start(Behaviour::Answer(503, Some(("retry-after", "2".into())))).await;
    let mut relay = Relay::start(&manifest::relay([destination("sink", &sink.url())])).await;
    let sender = Sender::to(&relay);
    sender.send(1, 1).await;
    let first = sink.attempted(1).await[0].at;
    sink.set(Behaviour::Ok);
    let second = sink.attempted(2).await[1].at;
    assert!(second.duration_since(first) >= Duration::from_secs(2), "{:?}", second.duration_since(first));
    assert_conserved(&mut relay, &sender, &[("sink", &sink)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_of_a_destination_outlasts_a_change_and_a_restart() {
    let sink = Sink::start(Behaviour::Answer(503, Some(("retry-after", "8".into())))).await;
    let with_concurrency = |concurrency: u32| {
        manifest::relay([with(destination("sink", &sink.url()), json!({"concurrency": concurrency}))])
    };
    let mut relay = Relay::start(&with_concurrency(4)).await;
    let sender = Sender::to(&relay);
    sender.send(1, 1).await;
    let asked = sink.attempted(1).await[0].at;
    sink.set(Behaviour::Ok);
    relay.apply(&with_concurrency(5)).await;
    sender.send(1, 1).await;
    // In order, for a kill may come before the state is written.
    relay.terminate().await;
    relay.restart().await;
    sender.send(1, 1).await;
    let soonest = sink.attempted(4).await[1..].iter().map(|arrival| arrival.at).min().unwrap();
    assert!(soonest.duration_since(asked) >= Duration::from_secs(8), "{:?}", soonest.duration_since(asked));
    assert_conserved(&mut relay, &sender, &[("sink", &sink)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_destination_is_tried_seldom_and_healthy_one_as_fast_as_ever() {
    let dead = Sink::start(Behaviour::Reset).await;
    let healthy = Sink::start(Behaviour::Ok).await;
    let manifest =
        manifest::relay([destination("dead", &dead.url()), destination("healthy", &healthy.url())]);
    let relay = Relay::start(&manifest).await;
    let sender = Sender::to(&relay);
    let began = Instant::now();
    sender.send(2_000, 32).await;
    healthy.took_events(2_000).await;
    let attempts = dead.arrivals().len();
    let elapsed = began.elapsed().as_secs_f64();
    assert!(attempts < 200, "the breaker let {attempts} attempts through in {elapsed} s");
    assert_adds_up(&relay.probes.status().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn private_address_is_refused_unless_it_is_allowed() {
    let sink = Sink::start(Behaviour::Ok).await;
    let open = destination("sink", &sink.url());
    let closed = with(open.clone(), json!({"network": {"allow": ["10.0.0.0/8"]}}));
    let mut relay = Relay::start(&manifest::relay([closed])).await;
    let sender = Sender::to(&relay);
    sender.send(10, 2).await;
    relay.until("sink", "ten pending", |sink| sink["pending"] == 10).await;
    assert_eq!(sink.arrivals().len(), 0);
    relay.apply(&manifest::relay([open])).await;
    assert_conserved(&mut relay, &sender, &[("sink", &sink)]).await;
}

/// A relay that is asked to go gives what is under way twenty seconds, and a busy machine may take its time besides; a
/// kubelet waits for sixty.
const GOES: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn hanging_destination_does_not_keep_a_relay_from_going() {
    let sink = Sink::start(Behaviour::Hang).await;
    let patient = with(destination("sink", &sink.url()), json!({"timeout": "10m"}));
    let mut relay = Relay::start(&manifest::relay([patient])).await;
    let sender = Sender::to(&relay);
    sender.send(5, 1).await;
    sink.attempted(1).await;
    let asked = Instant::now();
    let status = relay.terminate().await;
    let took = asked.elapsed();
    assert_eq!(status.code(), Some(0));
    assert!(took < GOES, "it went after {took:?}");
    sink.set(Behaviour::Ok);
    relay.restart().await;
    assert_conserved(&mut relay, &sender, &[("sink", &sink)]).await;
}
