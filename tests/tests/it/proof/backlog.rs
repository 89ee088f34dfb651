//! A million undelivered events: a restart does not wait for them, memory does not hold them, and the first one is
//! delivered at once and the others as fast as if there were few.

use std::time::{Duration, Instant};

use serde_json::json;
use visnyk_tests::{
    conservation::assert_adds_up,
    flood::{body, small_body},
    manifest::{self, destination, with},
    proof::{is_long, report, test_effort},
    relay::Relay,
    tally::{Manner, Tally},
    wait::eventually,
};

use super::fill::fill;

/// A short backlog, and how much of a long one is delivered in the short form while the clock runs.
const FEW: u64 = 10_000;
/// So many events of all sizes have bodies of ten gibibytes.
const TEN_GIB: u64 = 162_312;
/// As promised; a debug build on a machine that does other things takes a fifth.
const READY: Duration = Duration::from_secs(2);
const FIRST: Duration = Duration::from_secs(1);
const MEMORY: u64 = 64 << 20;

#[derive(Debug)]
struct Run {
    ready: Duration,
    first: Duration,
    memory_at_start: u64,
    memory: u64,
    per_second: u128,
    /// Processor time for each delivery: what a machine that does other things cannot change.
    each: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn million_undelivered_events_cost_a_restart_nothing() {
    let few = run(FEW, FEW, small_body).await;
    let many = run(1_000_000, test_effort(FEW, 1_000_000), small_body).await;
    check("1,000,000 events", &few, &many);
    if is_long() {
        let few = run(FEW, FEW, body).await;
        let many = run(TEN_GIB, TEN_GIB, body).await;
        check("10 GiB", &few, &many);
    }
}

fn check(what: &str, few: &Run, many: &Run) {
    let Run { ready, first, memory_at_start, memory, per_second, each } = many;
    report(
        &format!("backlog of {what}"),
        &format!(
            "ready in {ready:.2?}, first delivery {first:.2?} later, {} MiB then and {} MiB while delivering, \
             {per_second} a second, {each:.0?} of processor time each, where a short backlog has {} and {:.0?}",
            memory_at_start >> 20,
            memory >> 20,
            few.per_second,
            few.each
        ),
    );
    assert!(*ready < READY && *first < FIRST, "{many:?}");
    assert!(*memory_at_start < MEMORY && *memory < MEMORY, "{many:?}");
    let is_slow = per_second * 2 <= few.per_second || *each >= few.each * 3 / 2;
    assert!(!is_slow, "a long backlog is delivered slowly: {many:?}, {few:?}");
}

async fn run(events: u64, watched: u64, body: fn(u64) -> bytes::Bytes) -> Run {
    let sink = Tally::start(Manner::Refuses).await;
    // Patient enough not to give the first event up.
    let retry = json!({"schedule": ["0s", "1s", "1s", "1s", "1s", "1s", "1s", "1s"], "jitterPercent": 0});
    let mut manifest = manifest::relay([with(destination("sink", &sink.url()), json!({"retry": retry}))]);
    let size = test_effort(1, 16);
    manifest["spec"]["spool"] = json!({"persistent": {"size": format!("{size}Gi")}});
    let mut relay = Relay::start(&manifest).await;
    relay.terminate().await;
    let started = Instant::now();
    fill(relay.data_dir(), events, size << 30, body).await;
    println!("{events} events written in {:.1?}", started.elapsed());

    sink.set(Manner::Takes);
    let began = Instant::now();
    relay.launch();
    relay.probes.ready().await;
    let (ready, memory_at_start) = (began.elapsed(), relay.process.peak_memory());
    let used = relay.process.processor_time();
    let first = eventually("first delivery", async || sink.first(), Option::is_some).await.unwrap();
    let mut taken = 0;
    while taken < watched {
        taken = eventually("more is delivered", async || sink.taken() as u64, |now| *now > taken).await;
    }
    let per_second = u128::from(taken) * 1_000 / first.elapsed().as_millis().max(1);
    let each = relay.process.processor_time().saturating_sub(used) / u32::try_from(taken).unwrap();
    let status = relay.probes.status().await;
    assert_adds_up(&status);
    assert_eq!((&status["accepted"], &status["destinations"][0]["damaged"]), (&json!(events), &json!(0)));
    let first = first.saturating_duration_since(began + ready);
    let memory = relay.process.peak_memory();
    Run { ready, first, memory_at_start, memory, per_second, each }
}
