//! The commands that speak to a running relay.

use std::process::Output;

use serde_json::{Value, json};
use visnyk_tests::{
    conservation::{assert_adds_up, assert_conserved},
    manifest::{self, destination, with},
    process::Process,
    relay::{RELAY, Relay},
    sender::{Sender, json_of},
    sink::{Behaviour, Sink},
};

/// Returns the output of a command that succeeds.
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Returns dead letters as listed.
fn listed(relay: &Relay, args: &[&str]) -> Vec<Value> {
    let list = printed(&relay.command(&[&["dead-letters", "list"], args].concat()));
    list.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_and_redriven_under_the_same_id() {
    let sink = Sink::start(Behaviour::Answer(500, None)).await;
    let once = json!({"retry": {"schedule": ["0s"]}});
    let mut relay = Relay::start(&manifest::relay([with(destination("sink", &sink.url()), once)])).await;
    let sender = Sender::to(&relay);
    let sent = sender.send(3, 1).await;
    relay.until("sink", "three dead letters", |sink| sink["deadLettered"] == 3).await;
    assert_adds_up(&relay.probes.status().await);
    assert!(printed(&relay.command(&["status"])).contains("sink"));

    let letters = listed(&relay, &["--destination", "sink"]);
    assert_eq!(letters.len(), 3, "{letters:?}");
    for id in &sent {
        assert!(letters.iter().any(|letter| letter.to_string().contains(id)), "{id} in {letters:?}");
    }
    assert!(listed(&relay, &["--bodies"]).iter().all(|letter| letter.to_string().contains("number")));

    sink.set(Behaviour::Ok);
    printed(&relay.command(&["redrive", "--destination", "sink", &sent[1]]));
    sink.took(&sent[1]).await;
    relay.until("sink", "two dead letters", |sink| sink["deadLettered"] == 2).await;
    assert_eq!(sink.ledger().len(), 1);

    relay.kill();
    relay.restart().await;
    assert_eq!(listed(&relay, &[]).len(), 2);
    printed(&relay.command(&["redrive", "--destination", "sink"]));
    assert_conserved(&mut relay, &sender, &[("sink", &sink)]).await;
    assert_eq!(listed(&relay, &[]), Vec::<Value>::new());
}

/// As large as they may be, and so many that all of them at once would be seen in the memory.
const LARGE: (usize, usize) = (40, 1 << 20);

#[tokio::test(flavor = "multi_thread")]
async fn listing_large_dead_letters_takes_the_memory_of_a_few() {
    let sink = Sink::start(Behaviour::Answer(400, None)).await;
    let fields = json!({"final": ["400"], "concurrency": 1});
    let relay = Relay::start(&manifest::relay([with(destination("sink", &sink.url()), fields)])).await;
    let (count, size) = LARGE;
    let client = relay.client();
    for _ in 0..count {
        let answer = client.post(relay.url()).body(json_of(size)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    relay.until("sink", "dead letters", |sink| sink["deadLettered"] == count).await;
    let before = relay.process.peak_memory();
    let letters = listed(&relay, &["--bodies"]);
    let bodies: Vec<_> = letters.iter().map(|letter| letter["body"].as_str().unwrap().len()).collect();
    assert_eq!(bodies, vec![size; count]);
    // The kernel counts memory for each processor by itself, and its sum may also fall a little.
    let more = relay.process.peak_memory().saturating_sub(before);
    assert!(more < (count * size / 2) as u64, "{} MiB", more >> 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn discarded_events_are_dropped_by_name() {
    let sink = Sink::start(Behaviour::Hang).await;
    let relay = Relay::start(&manifest::relay([destination("sink", &sink.url())])).await;
    let sender = Sender::to(&relay);
    sender.send(40, 4).await;
    sink.attempted(1).await;
    printed(&relay.command(&["destination", "discard", "sink"]));
    let status = relay.until("sink", "nothing pending", |sink| sink["pending"] == 0).await;
    assert_adds_up(&relay.probes.status().await);
    assert_eq!(status["dropped"], 40, "{status}");
    sink.set(Behaviour::Ok);
    let fresh = sender.send_accepted().await;
    sink.took(&fresh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_cannot_be_obeyed_say_why() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut relay = Relay::start(&manifest::relay([destination("sink", &sink.url())])).await;
    for args in [&["redrive", "--destination", "nobody"][..], &["destination", "discard", "nobody"]] {
        let output = relay.command(args);
        assert!(!output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("nobody"), "{output:?}");
    }
    relay.terminate().await;
    let output = relay.command(&["status"]);
    assert!(!output.status.success(), "{output:?}");
    assert!(!output.stderr.is_empty());
    assert!(!Process::run(RELAY, ["status", "--data-dir=/does/not/exist"]).status.success());
}
