//! Eight destinations, seven of them broken in ways of their own, and a relay that is killed every ten seconds: in the
//! end each has what the sender was promised, and the well one never waited for the others.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::time::sleep;
use visnyk_tests::{
    address::Address,
    conservation::assert_adds_up,
    flood::{Answers, Flood},
    manifest::{self, destination, with},
    proof::{by_build, is_long, report, test_effort},
    relay::{Relay, find},
    tally::{Book, Manner, Tally},
    wait::eventually,
};

/// Events a second, few enough for a debug build on two cores that do other things besides.
const RATE: u32 = by_build(1_000, 250);
/// In the short form.
const EVENTS: u64 = by_build(50_000, 5_000);
/// Some have a million waiting for them in the long form, of a kilobyte each.
const SPOOL: &str = "4Gi";
/// A machine on which fewer come through, kills included, is too busy to say anything about latencies.
const KEEPS_PACE: u32 = RATE * 3 / 4;
const SENDERS: u32 = 32;
const BETWEEN_KILLS: Duration = Duration::from_secs(10);
/// Time for which the well destination is measured alone.
const ALONE: Duration = by_build(Duration::from_secs(10), Duration::from_secs(4));
/// So long before a kill, and after the start that follows, an event may have had to wait for that.
const AROUND_A_KILL: Duration = Duration::from_secs(1);
/// Delay allowed because the machine has seven more destinations to serve. An event that waited for another
/// destination would wait for its timeouts, and each the longer the more came before it.
const BUSY: Duration = by_build(Duration::from_millis(20), Duration::from_secs(2));
const MIB: u64 = 1 << 20;

/// Returns the seven bad destinations, by name and manner.
fn manners(elsewhere: &Tally) -> [(&'static str, Manner); 7] {
    [
        ("well", Manner::Takes),
        ("erring", Manner::Errs),
        ("breaking-off", Manner::BreaksOff),
        ("hanging", Manner::Hangs),
        ("redirecting", Manner::Redirects(elsewhere.url())),
        ("slow", Manner::Late(Duration::from_secs(5))),
        ("flapping", Manner::Flaps),
    ]
}

const NEVER_THERE: &str = "never-there";

#[tokio::test(flavor = "multi_thread")]
async fn healthy_destination_never_waits_for_seven_broken_ones() {
    let alone = alone().await;
    let events = usize::try_from(test_effort(EVENTS, 1_000_000)).unwrap();
    let elsewhere = Tally::start(Manner::Takes).await;
    let mut tallies = BTreeMap::new();
    for (name, manner) in manners(&elsewhere) {
        tallies.insert(name, Tally::start(manner).await);
    }
    let nowhere = Address::take();
    let urls: Vec<_> = tallies.iter().map(|(name, tally)| (*name, tally.url())).collect();
    let all = |redirecting: Value| {
        let others = urls.iter().filter(|(name, _)| *name != "redirecting").map(|(name, url)| match *name {
            "slow" => with(patient(name, url), json!({"timeout": "15s"})),
            _ => patient(name, url),
        });
        let never = patient(NEVER_THERE, &Tally::url_at(&nowhere));
        let mut manifest = manifest::relay(others.chain([redirecting, never]));
        manifest["spec"]["spool"] = json!({"persistent": {"size": SPOOL}});
        manifest
    };
    // It answers each attempt at once, which would be tried again and again.
    let redirecting = with(
        destination("redirecting", &tallies["redirecting"].url()),
        json!({"retry": schedule(), "rateLimit": {"events": 50, "per": "1s"}}),
    );
    let mut relay = Relay::start(&all(redirecting)).await;
    let flood = Flood::steady(&relay, SENDERS, RATE);
    flood.resume();
    let began = Instant::now();
    let (mut outages, mut peaks) = (Vec::new(), Vec::new());
    while flood.accepted() < events {
        sleep(BETWEEN_KILLS).await;
        peaks.push(relay.process.peak_memory() / MIB);
        let killed = Instant::now();
        relay.kill();
        relay.restart().await;
        outages.push((killed.checked_sub(AROUND_A_KILL).unwrap(), Instant::now() + AROUND_A_KILL));
        assert_adds_up(&relay.probes.status().await);
    }
    flood.finish().await;
    let per_second = flood.accepted() as u64 / began.elapsed().as_secs();
    drained(&relay, "well").await;
    let beside_others = p99(&flood.answers(), &tallies["well"].book(), &outages);
    for name in ["hanging", "redirecting", NEVER_THERE] {
        let destination = relay.destination(name).await;
        assert_eq!(
            (&destination["delivered"], &destination["dropped"]),
            (&json!(0), &json!(0)),
            "{destination}"
        );
    }
    assert_eq!(elsewhere.taken(), 0, "a redirect was followed");

    let mended = Instant::now();
    for tally in tallies.values() {
        tally.set(Manner::Takes);
    }
    let redirecting = destination("redirecting", &tallies["redirecting"].url());
    relay.apply(&all(redirecting)).await;
    tallies.insert(NEVER_THERE, Tally::start_at(nowhere, Manner::Takes).await);
    for name in tallies.keys() {
        drained(&relay, name).await;
    }
    let mended = mended.elapsed();
    let status = relay.probes.status().await;
    assert_adds_up(&status);
    let answers = flood.answers();
    let kills = outages.len() as u64;
    let repeats: Vec<_> = tallies
        .iter()
        .map(|(name, tally)| (*name, conserved(&answers, &tally.book(), find(&status, name))))
        .collect();
    for (name, repeats) in &repeats {
        assert!(*repeats < kills * u64::from(RATE), "{name}: {repeats} repeats after {kills} kills");
    }
    report(
        "mess",
        &format!(
            "{} acknowledged events at {per_second} a second, 8 destinations, {kills} kills, 0 lost, repeats {repeats:?}, p99 of the well one \
             {beside_others:.1?} where it has {alone:.1?} alone, peaks of memory {peaks:?} MiB, the rest delivered \
             {mended:.1?} after all were mended",
            answers.accepted.len()
        ),
    );
    if per_second >= u64::from(KEEPS_PACE) {
        assert!(beside_others < alone * 2 + BUSY, "{beside_others:?} beside the others, {alone:?} alone");
    }
    let (first, last) = (peaks.first().unwrap(), peaks.last().unwrap());
    assert!(*last < first * 3 / 2 + 16, "memory grows: {peaks:?} MiB");
}

/// Returns a destination whose events have attempts left until all is mended, however long that takes.
fn patient(name: &str, url: &str) -> Value {
    let destination = destination(name, url);
    if is_long() { with(destination, json!({"retry": schedule()})) } else { destination }
}

/// Returns a schedule that is longer than either form takes.
fn schedule() -> Value {
    let wait = format!("{}s", test_effort(10, 40));
    let waits: Vec<_> = (0..32).map(|attempt| if attempt == 0 { "0s" } else { &wait }).collect();
    json!({"schedule": waits, "jitterPercent": 0})
}

/// Measures the p99 from sending to arrival where there is no other destination.
async fn alone() -> Duration {
    let sink = Tally::start(Manner::Takes).await;
    let relay = Relay::start(&manifest::relay([destination("well", &sink.url())])).await;
    let flood = Flood::steady(&relay, SENDERS, RATE);
    flood.resume();
    sleep(ALONE).await;
    flood.finish().await;
    drained(&relay, "well").await;
    p99(&flood.answers(), &sink.book(), &[])
}

/// Waits until nothing is pending, for as long as that gets less.
async fn drained(relay: &Relay, name: &str) {
    let pending = async || relay.destination(name).await["pending"].as_u64().unwrap();
    let mut left = pending().await;
    while left > 0 {
        left = eventually("less pending", pending, |now| *now < left).await;
    }
}

/// Computes the p99 from sending to arrival of the events that were sent outside of the outages.
fn p99(answers: &Answers, book: &Book, outages: &[(Instant, Instant)]) -> Duration {
    let undisturbed = |sent: &Instant| !outages.iter().any(|(from, until)| (from..=until).contains(&sent));
    let mut latencies: Vec<_> = answers
        .accepted
        .iter()
        .filter(|(_, sent)| undisturbed(sent))
        .filter_map(|(number, sent)| Some(book.taken_at.get(number)?.saturating_duration_since(*sent)))
        .collect();
    latencies.sort();
    latencies[latencies.len() * 99 / 100]
}

/// Holds a destination's ledger against the sender's and the relay's; returns how often an event came again.
fn conserved(answers: &Answers, book: &Book, destination: &Value) -> u64 {
    let lost: Vec<_> = answers.accepted.keys().filter(|number| !book.taken.contains_key(number)).collect();
    assert!(lost.is_empty(), "{} lost: {lost:?}, {destination}", lost.len());
    assert_eq!(book.altered, 0, "{destination}");
    assert_eq!(destination["delivered"], destination["accepted"], "{destination}");
    assert_eq!(destination["delivered"], book.taken.len(), "{destination}");
    book.taken.values().map(|times| u64::from(*times) - 1).sum()
}
