//! Flipped bits and zeroed blocks all over the data folder of a dead relay: exactly the records hit are counted as
//! damaged, all others are delivered, and the start takes no longer.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use visnyk_tests::{
    conservation::assert_adds_up,
    files::{copy_all, folder_in_memory},
    flood::Flood,
    manifest::{self, destination, with},
    proof::{by_build, report, seed, test_effort},
    relay::Relay,
    segments::{HEADERS, frames, read_at, segments},
    tally::{Manner, Tally},
    wait::eventually,
};

const EVENTS: usize = 400;
/// As many as a segment of 16 MiB has room for.
const OF_ONE_SEGMENT: usize = 300;
const SECTOR: usize = 512;
/// Of a state file.
const PAGE: usize = 4096;
/// In one file: most of it is still to be read then.
const MAX_FLIPS: usize = 100;

/// Maximum time of a start.
const START: Duration = by_build(Duration::from_secs(2), Duration::from_secs(8));

struct World {
    relay: Relay,
    sink: Tally,
    accepted: BTreeMap<u64, Instant>,
}

impl World {
    /// Starts a relay, and kills it with all that it accepted still to be delivered.
    async fn dead() -> Self {
        let sink = Tally::start(Manner::Hangs).await;
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
    let (rounds, harms) = (test_effort(5, 50), 200);
    let (mut damaged, mut slowest) = (0, Duration::ZERO);
    for _ in 0..rounds {
        let mut world = World::dead().await;
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

/// Where most of a state lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lies {
    /// In the state file's log, where a kill leaves it.
    InTheLog,
    /// In the state file itself.
    InTheFile,
}

/// A dead relay whose state holds dead letters, and whose journal still holds every event: only what the state alone
/// knew can be lost.
struct Remains {
    relay: Relay,
    accepted: BTreeSet<u64>,
    taken: BTreeSet<u64>,
}

impl Remains {
    async fn with(lies: Lies) -> Self {
        let sink = Tally::start(Manner::Picky).await;
        let mut relay = Relay::start(&roomy(&sink)).await;
        let flood = Flood::of(&relay, 8);
        flood.resume();
        eventually("accepted", async || flood.accepted(), |accepted| *accepted >= OF_ONE_SEGMENT).await;
        flood.finish().await;
        relay.until("sink", "nothing pending", |sink| sink["pending"] == 0).await;
        // All of it is in the state a moment later.
        tokio::time::sleep(Duration::from_secs(1)).await;
        relay.kill();
        if lies == Lies::InTheFile {
            fold(&relay.data_dir().join("state.db")).await;
        }
        let numbers = segments(relay.data_dir()).into_iter().filter_map(|file| read_at(&file, 32));
        assert!(
            numbers.map(u64::from_le_bytes).all(|number| number <= 1),
            "the first segment has everything"
        );
        let (accepted, taken) = (flood.answers().accepted, sink.book().taken);
        Self { relay, accepted: accepted.into_keys().collect(), taken: taken.into_keys().collect() }
    }

    /// Harms a copy of its state and starts a relay on that, which has to count as damaged exactly what never comes.
    async fn revived(&self, mut random: StdRng, harm: Harm) -> Revived {
        let folder = folder_in_memory();
        let data_dir = folder.path().join("data");
        copy_all(self.relay.data_dir(), &data_dir);
        let harms = harm.do_to_state(&mut random, &data_dir);
        let sink = Tally::start(Manner::Takes).await;
        let began = Instant::now();
        let relay = Relay::start_in(folder, data_dir, &roomy(&sink)).await;
        let start = began.elapsed();
        assert!(start < START, "ready only after {start:?}");
        relay.until("sink", "nothing pending", |sink| sink["pending"] == 0).await;
        let redriven = relay.command(&["redrive", "--destination", "sink"]);
        assert!(redriven.status.success(), "{redriven:?}");
        let over = |sink: &Value| sink["pending"] == 0 && sink["deadLettered"] == 0;
        let status = relay.until("sink", "nothing left", over).await;
        let whole = relay.probes.status().await;
        assert_adds_up(&whole);
        let book = sink.book();
        assert_eq!(book.altered, 0);
        let came = |number: &&u64| self.taken.contains(number) || book.taken.contains_key(number);
        let missing = self.accepted.len() - self.accepted.iter().filter(came).count();
        assert_eq!(status["damaged"], missing, "{missing} are missing after {harms} {harm:?}: {status}");
        let is_aside = whole["stateSetAside"] != json!(null);
        // A bit is in one row, unless it holds the file together.
        let is_bounded = harm != Harm::Flips || is_aside || missing <= harms;
        assert!(is_bounded, "{missing} are missing after {harms} flips: {status}");
        let repeats = book.taken.keys().filter(|number| self.taken.contains(number)).count();
        Revived { harms, missing, is_aside, repeats, start }
    }
}

struct Revived {
    harms: usize,
    missing: usize,
    is_aside: bool,
    repeats: usize,
    start: Duration,
}

/// Returns a manifest with one attempt for each event, and segments that take all of them.
fn roomy(sink: &Tally) -> Value {
    let mut manifest =
        manifest::relay([with(destination("sink", &sink.url()), json!({"retry": {"schedule": ["0s"]}}))]);
    manifest["spec"]["listener"]["maxBodySize"] = "4Mi".into();
    manifest
}

/// Writes a state file's log into it, as `SQLite` does by itself now and then.
async fn fold(file: &Path) {
    let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Harm to the state file and its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    Flips,
    Sectors,
    Pages,
    /// With what tells that it is a state file at all.
    FirstPage,
}

impl Harm {
    const ALL: [Self; 4] = [Self::Flips, Self::Sectors, Self::Pages, Self::FirstPage];

    /// Returns how often it was done.
    fn do_to_state(self, random: &mut StdRng, data_dir: &Path) -> usize {
        let mut harms = 0;
        for name in ["state.db", "state.db-wal"] {
            let file = data_dir.join(name);
            let Ok(mut bytes) = fs::read(&file) else { continue };
            if bytes.is_empty() {
                continue;
            }
            let times = match self {
                Self::Flips => random.random_range(1..=MAX_FLIPS),
                Self::Sectors | Self::Pages => random.random_range(1..=3),
                Self::FirstPage => 1,
            };
            for _ in 0..times {
                let at = random.random_range(0..bytes.len());
                let mut zero = |from: usize, size: usize| {
                    let to = bytes.len().min(from + size);
                    bytes[from..to].fill(0);
                };
                match self {
                    Self::Flips => bytes[at] ^= 1 << random.random_range(0..8),
                    Self::Sectors => zero(at / SECTOR * SECTOR, SECTOR),
                    Self::Pages => zero(at / PAGE * PAGE, PAGE),
                    Self::FirstPage => zero(0, PAGE),
                }
            }
            harms += times;
            fs::write(file, bytes).unwrap();
        }
        harms
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rot_in_the_state_costs_exactly_the_held_events_it_hits() {
    let mut random = seed();
    let (mut harms, mut missing, mut aside, mut repeats) = (0, 0, 0, 0);
    let (mut revivals, mut slowest) = (0, Duration::ZERO);
    for lies in [Lies::InTheLog, Lies::InTheFile] {
        let remains = Remains::with(lies).await;
        let rounds = (0..test_effort(3, 50)).flat_map(|_| Harm::ALL);
        let seeded: Vec<(u64, Harm)> = rounds.map(|harm| (random.random(), harm)).collect();
        let revived =
            stream::iter(seeded).map(|(seed, harm)| remains.revived(StdRng::seed_from_u64(seed), harm));
        for one in revived.buffer_unordered(2).collect::<Vec<_>>().await {
            harms += one.harms;
            missing += one.missing;
            aside += u64::from(one.is_aside);
            repeats += one.repeats;
            revivals += 1;
            slowest = slowest.max(one.start);
        }
    }
    report(
        "bit rot in the state",
        &format!(
            "{harms} flips and zeroed sectors and pages in {revivals} state files, {aside} set aside, {missing} held \
             events lost, as many damaged, {repeats} repeats, slowest start {slowest:.1?}"
        ),
    );
}
