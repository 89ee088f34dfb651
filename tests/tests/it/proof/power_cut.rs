//! Power cuts under load, on real file systems: nothing acknowledged is lost, no start fails, no byte is altered.
//! `kill -9` proves nothing of this, for the system keeps what a killed process wrote.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rand::{RngExt, rngs::StdRng};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::sleep;
use visnyk_tests::{
    conservation::assert_adds_up,
    flood::Flood,
    manifest::{self, destination, with},
    power::{Disk, FileSystem, Lab},
    proof::{report, seed, test_effort},
    relay::Relay,
    segments::{read_at, segments},
    tally::{Book, Manner, Tally},
    wait::eventually,
};

/// Power cuts of one life of a relay: the next one begins with an empty disk, for much goes wrong only then.
const CUTS_PER_LIFE: u64 = 5;
const NAMES: [&str; 2] = ["plain", "picky"];

#[derive(Default)]
struct Figures {
    states: u64,
    acknowledged: usize,
    duplicates: u64,
    voids: u64,
    files: usize,
    uses: u64,
    slowest_start: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn power_cut_on_ext4_loses_nothing_acknowledged() {
    survive(FileSystem::Ext4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn power_cut_on_xfs_loses_nothing_acknowledged() {
    survive(FileSystem::Xfs).await;
}

async fn survive(kind: FileSystem) {
    let Some(lab) = Lab::new() else { return };
    let (mut random, mut figures) = (seed(), Figures::default());
    while figures.states < test_effort(20, 500) {
        live_and_die(&lab, kind, &mut random, &mut figures).await;
    }
    let Figures { states, acknowledged, duplicates, voids, files, uses, slowest_start } = figures;
    assert!(uses > files as u64, "no segment was used twice: {uses} uses of {files} files");
    report(
        &format!("power cut on {kind:?}"),
        &format!(
            "{states} states, {acknowledged} acknowledged events, 0 lost, {duplicates} duplicates, \
             {voids} torn tails, up to {uses} uses of {files} segment files, slowest start {slowest_start:.1?}"
        ),
    );
}

/// Runs a relay under load whose power is cut again and again, each time in a copy of its world.
async fn live_and_die(lab: &Lab, kind: FileSystem, random: &mut StdRng, figures: &mut Figures) {
    let disk = lab.disk(kind);
    let sinks = [Tally::start(Manner::Takes).await, Tally::start(Manner::Picky).await];
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start_in(folder, disk.path().join("data"), &manifest(&sinks)).await;
    let flood = Flood::of(&relay, 16);
    let mut counted = 0;
    for cut in 0..CUTS_PER_LIFE {
        let before = flood.accepted();
        flood.resume();
        // The first one soon: what is made at the beginning is made once. A segment takes some 180.
        let more = random.random_range(1..if cut == 0 { 20 } else { 300 });
        eventually("accepted", async || flood.accepted(), |accepted| *accepted >= before + more).await;
        sleep(Duration::from_millis(random.random_range(0..50))).await;
        relay.process.stand_still().await;
        let dead = lab.after_power_cut(&disk);
        let promised = flood.answers();
        assert_eq!(promised.strange, Vec::<String>::new());
        let books = sinks.each_ref().map(Tally::book);
        flood.pause();
        relay.process.signal(Signal::CONT);
        figures.states += 1;
        figures.acknowledged += promised.accepted.len() - counted;
        counted = promised.accepted.len();
        resurrect(&dead, &promised.accepted.into_keys().collect::<Vec<_>>(), books, figures).await;
    }
}

fn manifest(sinks: &[Tally; 2]) -> Value {
    let destinations = NAMES.iter().zip(sinks).map(|(name, sink)| {
        let retry = json!({"schedule": ["0s", "100ms"], "jitterPercent": 0});
        with(destination(name, &sink.url()), json!({"retry": retry, "timeout": "10s"}))
    });
    // Small, so that files are used again and again.
    with_spool(manifest::relay(destinations))
}

fn with_spool(mut manifest: Value) -> Value {
    manifest["spec"]["spool"] = json!({"persistent": {"size": "160Mi"}});
    manifest
}

/// Starts the machine again, and asserts that every event that was acknowledged and not delivered before is delivered
/// now.
async fn resurrect(disk: &Disk, promised: &[u64], before: [Book; 2], figures: &mut Figures) {
    let sinks = [Tally::start(Manner::Takes).await, Tally::start(Manner::Takes).await];
    let folder = tempfile::tempdir().unwrap();
    let headers = segments(&disk.path().join("data")).into_iter().map(|file| read_at(&file, 32));
    let numbers: Vec<u64> = headers.map(|number| number.map_or(0, u64::from_le_bytes)).collect();
    figures.files = figures.files.max(numbers.len());
    figures.uses = figures.uses.max(numbers.into_iter().max().unwrap_or(0));
    let began = Instant::now();
    let mut relay = Relay::start_in(folder, disk.path().join("data"), &manifest(&sinks)).await;
    figures.slowest_start = figures.slowest_start.max(began.elapsed());
    for name in NAMES {
        relay.until(name, "nothing pending", |destination| destination["pending"] == 0).await;
        let redriven = relay.command(&["redrive", "--destination", name]);
        assert!(redriven.status.success(), "{redriven:?}");
        let over = |destination: &Value| destination["pending"] == 0 && destination["deadLettered"] == 0;
        let destination = relay.until(name, "nothing left", over).await;
        assert_eq!(
            (&destination["damaged"], &destination["dropped"]),
            (&json!(0), &json!(0)),
            "{destination}"
        );
    }
    let status = relay.probes.status().await;
    assert_adds_up(&status);
    assert!(status["accepted"].as_u64().unwrap() >= promised.len() as u64, "{status}");
    figures.voids += u64::from(status["tornTail"] != 0);
    for ((name, before), after) in NAMES.iter().zip(&before).zip(sinks.each_ref().map(Tally::book)) {
        assert_eq!((before.altered, after.altered), (0, 0), "{name}: a body was altered");
        let taken = |number: &&u64| before.taken.contains_key(number) || after.taken.contains_key(number);
        let lost: Vec<_> = promised.iter().filter(|number| !taken(number)).collect();
        assert!(lost.is_empty(), "{name}: {} of {} were lost: {lost:?}", lost.len(), promised.len());
        figures.duplicates += repeats(&before.taken, &after.taken);
    }
    relay.terminate().await;
}

/// Deliveries after the cut of what was delivered before, or more than once since.
fn repeats(before: &BTreeMap<u64, u32>, after: &BTreeMap<u64, u32>) -> u64 {
    let repeats =
        |(number, times): (&u64, &u32)| u64::from(times - 1 + u32::from(before.contains_key(number)));
    after.iter().map(repeats).sum()
}
