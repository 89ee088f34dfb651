//! A disk of 64 MiB, every destination down: the relay takes what fits, says that it cannot take more, stays, and goes
//! on by itself once something is delivered.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::{sleep, timeout};
use visnyk_tests::{
    conservation::assert_adds_up,
    flood::Flood,
    manifest::{self, destination},
    mount::Mount,
    proof::{report, test_effort},
    relay::Relay,
    tally::{Manner, Tally},
    wait::eventually,
};

/// Time within which it has to accept again once each destination has taken something. Before that it waits for their
/// breakers, whose trials become rarer the longer a destination fails.
const SOON: Duration = Duration::from_secs(5);
/// Longer than a breaker is ever open: a minute, and a fifth of that by chance.
const ASKED: Duration = Duration::from_secs(80);

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_accepts_again_once_one_destination_returns() {
    let Some(disk) = Mount::ext4(64) else { return };
    let sinks = [Tally::start(Manner::Refuses).await, Tally::start(Manner::Refuses).await];
    let destinations = [destination("first", &sinks[0].url()), destination("second", &sinks[1].url())];
    let mut manifest = manifest::relay(destinations);
    manifest["spec"]["spool"] = json!({"persistent": {"size": "64Mi"}});
    let folder = tempfile::tempdir().unwrap();
    let mut relay = Relay::start_in(folder, disk.path().join("data"), &manifest).await;
    let flood = Flood::of(&relay, 8);
    flood.resume();
    eventually("full", async || flood.answers().unavailable, |refused| *refused > 0).await;
    let why = relay.probes.unready().await;
    assert!(why.contains("journal: full"), "{why}");
    let (promised, hold) = (flood.accepted(), Duration::from_secs(test_effort(3, 120)));
    sleep(hold).await;
    relay.process.assert_running();
    assert!(relay.probes.alive().await, "a full disk is nothing that a restart would mend");
    assert_adds_up(&relay.probes.status().await);
    assert!(flood.accepted() < promised + promised / 10, "it goes on accepting on a full disk");

    let full_at = flood.accepted();
    for sink in &sinks {
        sink.set(Manner::Takes);
    }
    let returned = Instant::now();
    let back = timeout(ASKED, delivered_again(&sinks)).await.expect("both are asked again");
    eventually("accepted again", async || flood.accepted(), |accepted| *accepted > full_at + 10).await;
    let waited = back.elapsed();
    assert!(waited < SOON, "accepting again only after {waited:?}");
    flood.finish().await;
    for name in ["first", "second"] {
        relay.until(name, "nothing pending", |destination| destination["pending"] == 0).await;
        let destination = relay.destination(name).await;
        assert_eq!(
            (&destination["damaged"], &destination["dropped"]),
            (&json!(0), &json!(0)),
            "{destination}"
        );
    }
    relay.probes.ready().await;
    let answers = flood.answers();
    assert_eq!(answers.strange, Vec::<String>::new());
    for (sink, name) in sinks.iter().zip(["first", "second"]) {
        let book = sink.book();
        // What the disk was full of for long may be a dead letter by now; its name says so.
        let dead = relay.destination(name).await["deadLettered"].as_u64().unwrap();
        let lost = answers.accepted.keys().filter(|number| !book.taken.contains_key(number)).count() as u64;
        assert_eq!((book.altered, lost), (0, dead), "{name}");
    }
    report(
        "full disk",
        &format!(
            "64 MiB, {} acknowledged events, {} refused with 503 and Retry-After while full for {hold:?}, 0 lost, \
             the destinations asked {:.1?} after they returned, accepting again {waited:.1?} later",
            answers.accepted.len(),
            answers.unavailable,
            back - returned
        ),
    );
}

/// Waits until each has taken something; returns when the last of them did.
async fn delivered_again(sinks: &[Tally]) -> Instant {
    loop {
        let firsts: Option<Vec<_>> = sinks.iter().map(Tally::first).collect();
        if let Some(last) = firsts.and_then(|firsts| firsts.into_iter().max()) {
            return last;
        }
        sleep(Duration::from_millis(10)).await;
    }
}
