//! An event that is sent again is answered like the first and not delivered again, whatever came between.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::sleep;
use visnyk_tests::{
    conservation::assert_adds_up,
    manifest::{self, destination},
    provider::sign,
    relay::Relay,
    sink::{Behaviour, Sink},
    wait::eventually,
};

use super::{metric, secret_refs, start};

/// Starts a relay that deduplicates at `/`.
async fn relay(sink: &Sink, source: Value) -> Relay {
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    manifest["spec"]["sources"][0] = source;
    start(&manifest).await
}

fn by_header(window: &str) -> Value {
    json!({
        "name": "network",
        "path": "/",
        "verify": {"none": {}},
        "deduplicate": {"window": window, "id": "headers['x-request-id']"},
    })
}

/// Sends event `number`; its id here, none if it was not accepted.
async fn send(client: &Client, url: &str, number: u64) -> Option<String> {
    let body = format!("{{\"number\": {number}}}");
    let request = client.post(url).header("x-request-id", number.to_string()).body(body);
    let answer = request.send().await.ok().filter(|answer| answer.status().is_success())?;
    Some(answer.headers()["visnyk-id"].to_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn repeat_is_answered_as_the_first_and_delivered_once() {
    let sink = Sink::start(Behaviour::Ok).await;
    let source = json!({
        "name": "github", "path": "/", "verify": {"github": secret_refs()}, "deduplicate": {"window": "1h"},
    });
    let relay = relay(&sink, source).await;
    let client = relay.client();
    let event = sign("github", b"{\"a\": 1}").with("x-github-delivery", "72d3162e");
    let id = async |signed: &visnyk_tests::provider::Signed| {
        let answer = signed.send(&client, &relay.url()).await;
        assert_eq!(answer.status(), 200);
        answer.headers()["visnyk-id"].to_str().unwrap().to_owned()
    };
    let first = id(&event).await;
    assert_eq!(id(&event).await, first);
    let other = id(&event.clone().with("x-github-delivery", "72d3162f")).await;
    assert_ne!(other, first);
    let mut nameless = event.clone();
    nameless.headers.retain(|(name, _)| *name != "x-github-delivery");
    assert_ne!(id(&nameless).await, id(&nameless).await, "what has no id is no repeat");

    let forged = event.with("x-hub-signature-256", "sha256=00");
    assert_eq!(forged.send(&client, &relay.url()).await.status(), 401, "who proves nothing is told nothing");
    sink.took_events(4).await;
    assert_eq!(relay.probes.status().await["accepted"], 4);
    assert_eq!(metric(&relay, "visnyk_repeats").await, ["visnyk_repeats_total{source=\"github\"} 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_at_the_same_moment_wait_for_the_first() {
    let sink = Sink::start(Behaviour::Ok).await;
    let relay = relay(&sink, by_header("1h")).await;
    let (client, url) = (relay.client(), relay.url());
    for number in 0..20 {
        let answers = join_all((0..16).map(|_| send(&client, &url, number))).await;
        let ids: BTreeSet<_> = answers.into_iter().map(|id| id.expect("every one is answered")).collect();
        assert_eq!(ids.len(), 1, "event {number} has several ids");
    }
    sink.took_events(20).await;
    assert_eq!(relay.probes.status().await["accepted"], 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_makes_a_relay_forget_what_it_accepted() {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let sink = Sink::start(Behaviour::Ok).await;
    let mut relay = relay(&sink, by_header("1h")).await;
    let mut known = Vec::new();
    let mut next = 0;
    for _ in 0..8 {
        let (client, url) = (relay.client(), relay.url());
        let load = tokio::spawn(async move {
            let mut accepted = Vec::new();
            for number in next.. {
                match send(&client, &url, number).await {
                    Some(id) => accepted.push((number, id)),
                    // Killed: this one may have been accepted.
                    None => return (accepted, number + 1),
                }
            }
            unreachable!("numbers do not end")
        });
        sleep(Duration::from_millis(random.random_range(20..700))).await;
        relay.kill();
        let (accepted, after) = load.await.unwrap();
        (next, known) = (after, [known, accepted].concat());
        relay.restart().await;
        assert_adds_up(&relay.probes.status().await);
        let client = relay.client();
        for (number, id) in &known {
            assert_eq!(
                send(&client, &relay.url(), *number).await.as_ref(),
                Some(id),
                "event {number} is new again"
            );
        }
    }
    assert!(known.len() > 50, "too few events: {}", known.len());
    let settled = |status: &Value| status["destinations"][0]["pending"] == 0;
    relay.probes.until("nothing pending", settled).await;
    let taken: BTreeSet<_> = sink.ledger().into_keys().collect();
    assert!(known.iter().all(|(_, id)| taken.contains(id)));
    let accepted = relay.probes.status().await["accepted"].as_u64().unwrap();
    assert!(accepted <= next, "{accepted} of {next}");
}

#[tokio::test(flavor = "multi_thread")]
async fn id_is_known_after_its_event_is_delivered_and_freed() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    manifest["spec"]["sources"][0] = by_header("1h");
    manifest["spec"]["spool"]["persistent"]["size"] = "64Mi".into();
    let mut relay = start(&manifest).await;
    let client = relay.client();
    let first = send(&client, &relay.url(), 0).await.unwrap();
    // More than the journal holds.
    let large = format!("\"{}\"", "x".repeat((1 << 20) - 2));
    for number in 1..=80 {
        let request = client.post(relay.url()).header("x-request-id", number.to_string()).body(large.clone());
        let sent = async || request.try_clone().unwrap().send().await.unwrap().status().as_u16();
        eventually("room in the spool", sent, |status| *status == 200).await;
    }
    relay.until("sink", "everything delivered", |status| status["pending"] == 0).await;
    relay.kill();
    relay.restart().await;
    assert_eq!(send(&relay.client(), &relay.url(), 0).await, Some(first));
}

#[tokio::test(flavor = "multi_thread")]
async fn id_is_forgotten_after_its_window() {
    let sink = Sink::start(Behaviour::Ok).await;
    let relay = relay(&sink, by_header("1s")).await;
    let client = relay.client();
    let first = send(&client, &relay.url(), 0).await;
    assert_eq!(send(&client, &relay.url(), 0).await, first);
    eventually("another id", async || send(&client, &relay.url(), 0).await, |id| *id != first).await;
    sink.took_events(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_event_is_no_repeat_when_it_comes_again() {
    let sink = Sink::start(Behaviour::Hang).await;
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    manifest["spec"]["sources"][0] = by_header("1h");
    manifest["spec"]["spool"]["persistent"]["size"] = "32Mi".into();
    let relay = start(&manifest).await;
    let client = relay.client();
    let large = format!("\"{}\"", "x".repeat((1 << 20) - 2));
    let mut number = 0;
    let status = loop {
        let request = client.post(relay.url()).header("x-request-id", number.to_string()).body(large.clone());
        let status = request.send().await.unwrap().status().as_u16();
        if status != 200 {
            break status;
        }
        number += 1;
    };
    assert_eq!(status, 503, "the spool is full");
    sink.set(Behaviour::Ok);
    let request = client.post(relay.url()).header("x-request-id", number.to_string()).body(large.clone());
    let sent = async || request.try_clone().unwrap().send().await.unwrap().status().as_u16();
    eventually("room in the spool", sent, |status| *status == 200).await;
    sink.took_events(number + 1).await;
}
