//! Bits that flip on the disk: exactly the events they were in are lost, and each loss is counted.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;
use visnyk_tests::{
    conservation::{assert_adds_up, assert_conserved},
    manifest::{self, destination},
    relay::Relay,
    sender::Sender,
    sink::{Behaviour, Sink},
};

/// Returns the journal's segments.
fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(segments(&entry));
        } else if entry.extension().is_some_and(|ending| ending == "seg") {
            found.push(entry);
        }
    }
    found
}

/// Flips one bit in the stored body of an event, wherever it is.
fn damage(data_dir: &Path, body: &[u8]) {
    let mut hits = 0;
    for path in segments(data_dir) {
        let mut bytes = fs::read(&path).unwrap();
        let found: Vec<usize> =
            bytes.windows(body.len()).enumerate().filter(|(_, at)| *at == body).map(|(at, _)| at).collect();
        for at in &found {
            bytes[at + body.len() / 2] ^= 1;
        }
        if !found.is_empty() {
            fs::write(&path, bytes).unwrap();
            hits += found.len();
        }
    }
    assert!(hits > 0, "the event is in no segment");
}

/// Stores events that a hanging destination leaves pending, damages some, and sees what becomes of the rest.
async fn flipped_bits_cost_only_their_events(events: usize, padding: usize) {
    let sink = Sink::start(Behaviour::Hang).await;
    let manifest = manifest::relay([destination("sink", &sink.url())]);
    let mut relay = Relay::start(&manifest).await;
    let client = relay.client();
    let mut sent = Vec::new();
    for number in 0..events {
        let body = format!("{{\"number\": {number}, \"padding\": \"{}\"}}", "x".repeat(padding));
        let answer = client.post(relay.url()).body(body.clone()).send().await.unwrap();
        sent.push((answer.headers()["visnyk-id"].to_str().unwrap().to_owned(), body));
    }
    relay.kill();
    // Neither those that are in the waiting room by now nor the last, which could be a torn tail.
    let damaged: Vec<_> = [events / 2, events * 3 / 4].iter().map(|&at| sent[at].clone()).collect();
    for (_, body) in &damaged {
        damage(relay.data_dir(), body.split_once(',').unwrap().0.as_bytes());
    }
    sink.set(Behaviour::Ok);
    relay.restart().await;
    let status = relay.until("sink", "nothing pending", |sink| sink["pending"] == 0).await;
    assert_adds_up(&relay.probes.status().await);
    let terms = (&status["accepted"], &status["damaged"], &status["delivered"]);
    assert_eq!(terms, (&json!(events), &json!(2), &json!(events - 2)), "{status}");
    let taken = sink.ledger();
    for (id, body) in &sent {
        match taken.get(id) {
            Some(arrivals) => assert_eq!(arrivals[0].body, body),
            None => assert!(damaged.iter().any(|(damaged, _)| damaged == id), "event {id} was lost"),
        }
    }
    let fresh = Sender::to(&relay).send_accepted().await;
    sink.took(&fresh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flipped_bits_in_the_live_segment_cost_only_their_events() {
    flipped_bits_cost_only_their_events(100, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flipped_bits_in_sealed_segments_cost_only_their_events() {
    flipped_bits_cost_only_their_events(60, 512 << 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn torn_tail_is_no_event() {
    let sink = Sink::start(Behaviour::Hang).await;
    let mut relay = Relay::start(&manifest::relay([destination("sink", &sink.url())])).await;
    let sender = Sender::to(&relay);
    sender.send(20, 1).await;
    relay.kill();
    // A write that the power cut through: bytes behind the last frame that make no frame.
    let mut torn = 0;
    for path in segments(relay.data_dir()) {
        let mut bytes = fs::read(&path).unwrap();
        let Some(last) = bytes.windows(8).rposition(|window| window == b"number\":") else { continue };
        let end = last + bytes[last..].iter().position(|&byte| byte == 0).unwrap();
        bytes[end.next_multiple_of(8)..][..400].fill(0xA5);
        fs::write(&path, bytes).unwrap();
        torn += 1;
    }
    assert_eq!(torn, 1);
    sink.set(Behaviour::Ok);
    relay.restart().await;
    assert_conserved(&mut relay, &sender, &[("sink", &sink)]).await;
    assert_eq!(relay.destination("sink").await["damaged"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn frame_forged_inside_a_body_is_no_event() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut relay = Relay::start(&manifest::relay([destination("sink", &sink.url())])).await;
    let sender = Sender::to(&relay);
    sender.send(5, 1).await;
    // A whole segment, headers and frames, sent as a body.
    let segment = fs::read(&segments(relay.data_dir())[0]).unwrap();
    let forged: Vec<u8> = segment[..256 << 10].to_vec();
    let request = relay.client().post(relay.url()).header("content-type", "text/plain").body(forged.clone());
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let id = answer.headers()["visnyk-id"].to_str().unwrap().to_owned();
    assert_eq!(sink.took(&id).await[0].body, forged);
    relay.kill();
    relay.restart().await;
    assert_eq!(relay.probes.status().await["accepted"], 6);
    let fresh = sender.send_accepted().await;
    sink.took(&fresh).await;
    assert_eq!(sink.ledger().len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn corrupt_state_is_set_aside_and_costs_repeats_but_no_event() {
    let sink = Sink::start(Behaviour::Hang).await;
    let mut relay = Relay::start(&manifest::relay([destination("sink", &sink.url())])).await;
    let sender = Sender::to(&relay);
    let sent = sender.send(50, 4).await;
    relay.kill();
    for path in walk(relay.data_dir()) {
        if path.file_name().is_some_and(|name| name.to_str().unwrap().starts_with("state.db")) {
            fs::write(path, "no database at all").unwrap();
        }
    }
    sink.set(Behaviour::Ok);
    relay.restart().await;
    for id in &sent {
        sink.took(id).await;
    }
    relay.until("sink", "nothing pending", |sink| sink["pending"] == 0).await;
    let status = relay.probes.status().await;
    assert_adds_up(&status);
    assert_eq!(status["stateLost"], true, "{status}");
    assert!(walk(relay.data_dir()).iter().any(|path| path.to_str().unwrap().contains("state.db.corrupt")));
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { found.extend(walk(&entry)) } else { found.push(entry) }
    }
    found
}
