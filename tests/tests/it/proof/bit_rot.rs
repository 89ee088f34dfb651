//! Flipped bits and zeroed blocks all over the data folder of a dead relay: exactly the records hit are counted as
//! damaged, all others are delivered, and the start takes no longer.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::{Duration, Instant},
};

use rand::{RngExt, rngs::StdRng};
use serde_json::json;
use visnyk_tests::{
    conservation::assert_adds_up,
    flood::Flood,
    manifest::{self, destination, with},
    patience::eventually,
    proof::{extent, report, seed},
    relay::Relay,
    segments::{HEADERS, frames, segments},
    tally::{Manner, Tally},
};

const EVENTS: usize = 400;
const SECTOR: usize = 512;

/// Of a debug build on a machine that does other things; the promise is two seconds.
const START: Duration = Duration::from_secs(8);

struct World {
    relay: Relay,
    sink: Tally,
    accepted: BTreeMap<u64, Instant>,
}

impl World {
    /// A relay killed with all that it accepted still to be delivered.
    async fn dead(manner: Manner) -> Self {
        let sink = Tally::start(manner).await;
        // What hangs stays in the journal, and does not go to the waiting room.
        let patient = with(destination("sink", &sink.url()), json!({"timeout": "10m"}));
        let mut relay = Relay::start(&manifest::relay([patient])).await;
        let flood = Flood::of(&relay, 8);
        flood.resume();
        eventually("accepted", async || flood.accepted(), |accepted| *accepted >= EVENTS).await;
        flood.pause();
        // How far the journal has got is in the state a moment later: nothing of it is then a torn tail.
        tokio::time::sleep(Duration::from_secs(1)).await;
        relay.kill();
        Self { relay, sink, accepted: flood.answers().accepted }
    }

    /// Starts it again, lets it deliver, and returns how long it took to be ready, and what never came.
    async fn revive(&mut self) -> (Duration, Vec<u64>) {
        self.sink.set(Manner::Takes);
        let began = Instant::now();
        self.relay.restart().await;
        let start = began.elapsed();
        assert!(start < START, "ready only after {start:?}");
        self.relay.until("sink", "nothing pending", |sink| sink["pending"] == 0).await;
        assert_adds_up(&self.relay.probes.status().await);
        let book = self.sink.book();
        assert_eq!(book.altered, 0);
        let missing = self.accepted.keys().filter(|number| !book.taken.contains_key(number));
        (start, missing.copied().collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rot_in_the_journal_costs_exactly_the_records_it_hits() {
    let mut random = seed();
    let (rounds, harms) = (extent(5, 50), 200);
    let (mut damaged, mut slowest) = (0, Duration::ZERO);
    for _ in 0..rounds {
        let mut world = World::dead(Manner::Hangs).await;
        let hit = rot(&mut random, world.relay.data_dir(), harms);
        let (start, missing) = world.revive().await;
        let status = world.relay.destination("sink").await;
        assert_eq!(status["damaged"], hit.len(), "{status}");
        assert!(missing.len() <= hit.len(), "{} are missing, {} were hit", missing.len(), hit.len());
        assert_eq!(status["delivered"], status["accepted"].as_u64().unwrap() - hit.len() as u64, "{status}");
        damaged += hit.len();
        slowest = slowest.max(start);
    }
    let harms = harms * rounds;
    report(
        "bit rot in the journal",
        &format!(
            "{harms} flips and zeroed blocks, {damaged} records hit, as many damaged, slowest start {slowest:.1?}"
        ),
    );
}

/// Harms the journal at random places, and returns the sequences of the records it hit.
fn rot(random: &mut StdRng, data_dir: &Path, harms: u64) -> BTreeSet<u64> {
    let mut hit = BTreeSet::new();
    let mut files: Vec<_> =
        segments(data_dir).into_iter().map(|file| (fs::read(&file).unwrap(), file)).collect();
    let records: Vec<_> = files.iter().map(|(bytes, _)| frames(bytes)).collect();
    let mut headers_hit = BTreeSet::new();
    for _ in 0..harms {
        let index = random.random_range(0..files.len());
        let bytes = &mut files[index].0;
        let at = random.random_range(0..bytes.len());
        let harmed =
            if random.random() { at..at + 1 } else { at / SECTOR * SECTOR..at / SECTOR * SECTOR + SECTOR };
        // One of the two copies is what a segment can lose.
        if harmed.start < HEADERS && !headers_hit.insert(index) {
            continue;
        }
        let before = bytes[harmed.clone()].to_vec();
        match harmed.len() {
            1 => bytes[at] ^= 1 << random.random_range(0..8),
            _ => bytes[harmed.clone()].fill(0),
        }
        for frame in &records[index] {
            let changed = harmed.clone().filter(|at| bytes[*at] != before[at - harmed.start]);
            if changed.into_iter().any(|at| frame.bytes.contains(&at)) {
                hit.insert(frame.seq);
            }
        }
    }
    for (bytes, file) in files {
        fs::write(file, bytes).unwrap();
    }
    hit
}

#[tokio::test(flavor = "multi_thread")]
async fn rot_in_the_state_costs_repeats_and_what_it_hits_is_counted() {
    let mut random = seed();
    let (rounds, mut repeats, mut lost, mut aside) = (extent(5, 50), 0, 0, 0);
    let mut harms = 0;
    for _ in 0..rounds {
        let mut world = World::dead(Manner::Picky).await;
        for name in ["state.db", "state.db-wal"] {
            let file = world.relay.data_dir().join(name);
            let mut bytes = fs::read(&file).unwrap();
            for _ in 0..random.random_range(1..=20) {
                let at = random.random_range(0..bytes.len());
                bytes[at] ^= 1 << random.random_range(0..8);
                harms += 1;
            }
            fs::write(file, bytes).unwrap();
        }
        let (_, missing) = world.revive().await;
        let status = world.relay.destination("sink").await;
        let known = status["damaged"].as_u64().unwrap() + status["deadLettered"].as_u64().unwrap();
        assert!(missing.len() as u64 <= known, "{} are missing, {known} are known: {status}", missing.len());
        lost += status["damaged"].as_u64().unwrap();
        aside += u64::from(world.relay.probes.status().await["stateSetAside"] != json!(null));
        repeats += world.sink.book().taken.values().filter(|times| **times > 1).count();
    }
    report(
        "bit rot in the state",
        &format!(
            "{harms} flips, {aside} of {rounds} files set aside, {repeats} repeats, {lost} held events damaged and counted"
        ),
    );
}
