//! A disk that fails and works again: no promise for what it did not take, no second sync of a file that has failed,
//! not ready while that is so and ready by itself after, nothing lost, and never a restart.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;
use visnyk_tests::{
    conservation::assert_adds_up,
    faulty::{Call, Errno, Fault, FaultyDisk, Files},
    flood::Flood,
    manifest::{self, destination, with},
    proof::{by_build, report, test_effort},
    relay::Relay,
    segments::{Frame, frames, segments},
    tally::{Manner, Tally},
    wait::eventually,
};

/// Size in bytes of the unit that is lost together when it cannot be read.
const PAGE: usize = 4096;
/// Time within which the relay must be not ready.
const SOON: Duration = by_build(Duration::from_secs(1), Duration::from_secs(3));

fn faults(calls: &[Call]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for files in [Files::Journal, Files::State] {
        for &call in calls {
            for errno in [Errno::Io, Errno::Full] {
                faults.push(Fault { files, call, errno });
            }
        }
    }
    faults
}

/// A relay on a disk that fails to order, under load.
struct World {
    manifest: Value,
    relay: Relay,
    flood: Flood,
    sink: Tally,
    disk: FaultyDisk,
}

impl World {
    async fn new() -> Option<Self> {
        Self::with(Manner::Picky, "10s").await
    }

    async fn with(manner: Manner, timeout: &str) -> Option<Self> {
        let disk = FaultyDisk::mount()?;
        let sink = Tally::start(manner).await;
        let retry = json!({"schedule": ["0s", "100ms"], "jitterPercent": 0});
        let sink_destination =
            with(destination("sink", &sink.url()), json!({"retry": retry, "timeout": timeout}));
        let mut manifest = manifest::relay([sink_destination]);
        manifest["spec"]["spool"] = json!({"persistent": {"size": "160Mi"}});
        let folder = TempDir::new().unwrap();
        let relay = Relay::start_in(folder, disk.path().join("data"), &manifest).await;
        let flood = Flood::of(&relay, 8);
        Some(Self { manifest, relay, flood, sink, disk })
    }

    /// Waits for some more events to be accepted.
    async fn accepts(&self) {
        let before = self.flood.accepted();
        eventually("accepted", async || self.flood.accepted(), |now| *now > before + 20).await;
    }

    /// Waits until the relay is not ready, and returns how long that took.
    async fn unready(&self) -> Duration {
        let began = Instant::now();
        self.relay.probes.unready().await;
        began.elapsed()
    }

    /// Kills the relay and cuts the power, so that everything that was promised and not synced is gone for good. Then
    /// everything has to arrive.
    async fn assert_nothing_lost(mut self) -> (usize, usize) {
        self.accepts().await;
        self.flood.pause();
        self.relay.process.assert_running();
        self.relay.kill();
        self.disk.cut_power();
        self.sink.set(Manner::Takes);
        self.relay.restart().await;
        self.relay.until("sink", "nothing pending", |sink| sink["pending"] == 0).await;
        assert!(self.relay.command(&["redrive", "--destination", "sink"]).status.success());
        let status = self
            .relay
            .until("sink", "nothing left", |sink| sink["pending"] == 0 && sink["deadLettered"] == 0);
        assert_eq!(status.await["damaged"], 0);
        assert_adds_up(&self.relay.probes.status().await);
        let (answers, book) = (self.flood.answers(), self.sink.book());
        assert_eq!((answers.strange, book.altered), (vec![], 0));
        let lost: Vec<_> =
            answers.accepted.keys().filter(|number| !book.taken.contains_key(number)).collect();
        assert!(lost.is_empty(), "{} of {} were lost: {lost:?}", lost.len(), answers.accepted.len());
        (answers.accepted.len(), book.taken.values().map(|times| *times as usize - 1).sum())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_that_fails_under_load_costs_nothing_acknowledged() {
    let (mut events, mut repeats, mut slowest, mut latest) = (0, 0, Duration::ZERO, Duration::ZERO);
    let faults = faults(&[Call::Write, Call::Sync]);
    let rounds = test_effort(1, 10);
    for fault in (0..rounds).flat_map(|_| &faults) {
        let Some(world) = World::new().await else { return };
        world.flood.resume();
        world.accepts().await;
        let failures = world.disk.failures();
        world.disk.set(Some(*fault));
        eventually("failed", async || world.disk.failures(), |now| *now > failures).await;
        // A full state file only makes deliveries pause.
        if (fault.files, fault.errno) != (Files::State, Errno::Full) {
            let took = world.unready().await;
            assert!(took < SOON, "{fault:?}: not ready only after {took:?}");
            slowest = slowest.max(took);
        }
        if fault.files == Files::Journal {
            // What was sent before may have been synced, and its answer be on the way.
            let unready = Instant::now();
            sleep(Duration::from_millis(300)).await;
            let accepted = world.flood.answers().accepted;
            let since: Vec<_> = accepted.iter().filter(|(_, sent)| **sent > unready).collect();
            assert!(since.is_empty(), "{fault:?}: accepted without a disk: {since:?}");
        }
        // Nothing that a restart would mend. Where the relay begins anew, its health address is gone for a moment.
        eventually("alive", async || world.relay.probes.alive().await, |alive| *alive).await;
        assert_eq!(world.disk.touched_again(), Vec::<String>::new(), "{fault:?}");
        world.disk.set(None);
        let healed = Instant::now();
        world.relay.probes.ready().await;
        world.accepts().await;
        latest = latest.max(healed.elapsed());
        assert_eq!(world.disk.touched_again(), Vec::<String>::new(), "{fault:?}");
        let (accepted, twice) = world.assert_nothing_lost().await;
        events += accepted;
        repeats += twice;
    }
    report(
        "disk fails under load",
        &format!(
            "{} faults, {events} acknowledged events, 0 lost, {repeats} duplicates, not ready in {slowest:.1?}, \
             accepting again in {latest:.1?}",
            faults.len() as u64 * rounds
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_pages_cost_exactly_their_records_and_stop_nobody() {
    // What hangs stays in the journal.
    let Some(mut world) = World::with(Manner::Hangs, "10m").await else { return };
    world.flood.resume();
    // More than a segment of 8 MiB has room for.
    eventually("two segments", async || world.flood.accepted(), |accepted| *accepted > 300).await;
    world.flood.pause();
    // How far the journal has got is in the state a moment later.
    sleep(Duration::from_secs(1)).await;
    world.relay.kill();

    let (mut lost, mut hit) = (Vec::new(), BTreeSet::new());
    for segment in segments(world.relay.data_dir()) {
        let frames = frames(&fs::read(&segment).unwrap());
        let Some(middle) = frames.get(frames.len() / 2) else { continue };
        let page = middle.bytes.start / PAGE;
        lost.push((segment.file_name().unwrap().to_owned(), page as u64));
        let bytes = page * PAGE..(page + 1) * PAGE;
        let is_hit = |frame: &&Frame| frame.bytes.start < bytes.end && frame.bytes.end > bytes.start;
        hit.extend(frames.iter().filter(is_hit).map(|frame| frame.seq));
    }
    assert!(lost.len() >= 2, "{lost:?}");
    world.disk.set_unreadable(lost.clone());
    world.sink.set(Manner::Takes);
    world.relay.restart().await;
    let began = Instant::now();
    let pending = async || {
        assert!(world.relay.probes.alive().await);
        let sink = world.relay.destination("sink").await;
        assert!(sink["pending"] == 0 || sink["oldestPendingSeconds"].is_number(), "{sink}");
        sink
    };
    let sink = eventually("nothing pending", pending, |sink| sink["pending"] == 0).await;
    assert_eq!(sink["damaged"], hit.len(), "{sink}: {hit:?}");
    assert_adds_up(&world.relay.probes.status().await);
    let (answers, book) = (world.flood.answers(), world.sink.book());
    let missing = answers.accepted.keys().filter(|number| !book.taken.contains_key(number)).count();
    assert!(missing <= hit.len(), "{missing} are missing, {} were hit", hit.len());
    report(
        "unreadable pages",
        &format!(
            "{} pages, {} records in them, as many damaged, all others of {} delivered after {:.1?}",
            lost.len(),
            hit.len(),
            answers.accepted.len(),
            began.elapsed()
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_that_cannot_be_kept_changes_nothing_until_it_can() {
    let Some(world) = World::new().await else { return };
    world.flood.resume();
    world.accepts().await;
    world.disk.set(Some(Fault { files: Files::State, call: Call::Write, errno: Errno::Full }));
    let mut other = world.manifest.clone();
    other["spec"]["destinations"][0]["name"] = "other".into();
    let before = world.relay.probes.status().await["configurationHash"].clone();
    world.relay.change_manifest(&other.to_string());
    let problem =
        |status: &Value| status["manifestProblem"].as_str().is_some_and(|said| said.contains("no space"));
    let status = world.relay.probes.until("a problem", problem).await;
    assert_eq!(status["configurationHash"], before);
    let destinations: Vec<_> = status["destinations"].as_array().unwrap().iter().collect();
    assert_eq!(destinations.len(), 1, "{status}");
    assert_eq!((&destinations[0]["name"], &destinations[0]["state"]), (&json!("sink"), &json!("Active")));
    world.accepts().await;

    // Nobody touches the manifest again.
    world.disk.set(None);
    world.relay.probes.until_other_configuration(&before).await;
    let sink = world.relay.until("sink", "removed", |sink| sink["state"] == "Removed").await;
    assert_eq!(sink["dropped"], 0, "{sink}");
    world.relay.apply(&world.manifest).await;
    let (events, _) = world.assert_nothing_lost().await;
    report("manifest that cannot be kept", &format!("{events} acknowledged events, 0 lost"));
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_that_fails_at_the_start_makes_the_relay_wait_and_say_so() {
    let (mut starts, mut events, mut latest) = (0, 0, Duration::ZERO);
    let Some(mut world) = World::new().await else { return };
    let faults = faults(&[Call::Open, Call::Write, Call::Sync]);
    for fault in (0..test_effort(1, 10)).flat_map(|_| &faults) {
        world.flood.resume();
        world.accepts().await;
        world.flood.pause();
        world.relay.kill();
        world.disk.cut_power();
        world.disk.set(Some(*fault));
        world.relay.launch();
        let why = world.relay.probes.unready().await;
        let said = eventually(
            "reason",
            async || world.relay.probes.get("/readyz").await,
            |answer| {
                answer
                    .as_ref()
                    .is_some_and(|(_, reason)| reason.contains("spool: ") && !reason.contains("opening"))
            },
        );
        let (_, reason) = said.await.unwrap_or_else(|| panic!("{fault:?}: {why}"));
        assert!(reason.contains("cannot") || reason.contains("no space"), "{fault:?}: {reason}");
        assert!(world.relay.probes.alive().await, "{fault:?}");
        // A kubelet that saw the start fail would end the process.
        let (status, body) = world.relay.probes.get("/startupz").await.unwrap();
        assert_eq!(status, 200, "{fault:?}: {body}");
        sleep(Duration::from_secs(1)).await;
        world.relay.process.assert_running();
        world.disk.set(None);
        let healed = Instant::now();
        world.relay.probes.ready().await;
        latest = latest.max(healed.elapsed());
        starts += 1;
    }
    world.flood.resume();
    events += world.assert_nothing_lost().await.0;
    report(
        "disk fails at the start",
        &format!("{starts} starts, {events} acknowledged events, 0 lost, ready {latest:.1?} after it works"),
    );
}
