//! Events as large as they may be, to destinations that never answer: what is under way stays within its memory.

use futures::future::join_all;
use http::StatusCode;
use serde_json::json;
use visnyk_tests::{
    manifest::{self, destination, with},
    relay::Relay,
    sender::json_of,
    sink::{Behaviour, Sink},
    wait::eventually,
};

const EVENTS: usize = 30;
const SIZE: usize = 2 << 20;
const HANGING: [&str; 4] = ["one", "two", "three", "four"];
/// The first events that together reach a fifth of 64 MiB; fewer than requests are allowed at first.
const SHARE: usize = 7;
/// Without a bound the hanging destinations would have 240 MiB under way, beside all else.
const MAX_MEMORY: u64 = 256 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn large_events_to_hanging_destinations_take_their_share_of_memory() {
    let hanging = join_all(HANGING.map(|_| Sink::start(Behaviour::Hang))).await;
    let healthy = Sink::start(Behaviour::Ok).await;
    let sick = HANGING.iter().zip(&hanging).map(|(name, sink)| {
        with(destination(name, &sink.url()), json!({"timeout": "10m", "concurrency": EVENTS}))
    });
    let mut manifest = manifest::relay(sick.chain([destination("healthy", &healthy.url())]));
    manifest["spec"]["listener"]["maxBodySize"] = "2Mi".into();
    let mut relay = Relay::start(&manifest).await;
    let client = relay.client();
    for number in 0..EVENTS {
        let answer = client.post(relay.url()).body(json_of(SIZE)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{number}");
    }
    healthy.took_events(EVENTS).await;
    let attempts = async || hanging.iter().map(|sink| sink.arrivals().len()).collect::<Vec<_>>();
    let all_tried = |attempts: &Vec<usize>| attempts.iter().all(|count| *count >= SHARE);
    assert_eq!(eventually("all tried", attempts, all_tried).await, [SHARE; HANGING.len()]);
    let memory = relay.process.peak_memory();
    assert!(memory < MAX_MEMORY, "{} MiB", memory >> 20);

    relay.kill();
    for sink in &hanging {
        sink.set(Behaviour::Ok);
    }
    relay.restart().await;
    for sink in &hanging {
        sink.took_events(EVENTS).await;
    }
}
