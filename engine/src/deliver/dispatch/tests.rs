//! Dispatchers over a real spool, against sinks that behave as told.

mod ruled;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use visnyk_crds::valid::{Authorization, Destination, Retry, SecretRef, SpoolKind, Target};
use visnyk_runtime::observe::watchdog::{BOUND, Watchdog};

use super::complete::{Ended, Stored};
use super::start::load;
use crate::deliver::channels::http::client::Outbound;
use crate::deliver::fleet::Fleet;
use crate::deliver::testing::{Answer, RECEIVED_AT_MS, Sink, destination, event, outbound};
use crate::journal::Seq;
use crate::spool::Spool;
use crate::state::{DestinationStatus, EventAt};
use crate::triage::Ruling;

/// A spool with its dispatchers.
struct World {
    spool: Spool,
    fleet: Mutex<Fleet>,
    folder: TempDir,
    keeping: tokio_util::sync::DropGuard,
    keeper: tokio::task::JoinHandle<()>,
}

impl World {
    async fn new(destinations: &[Destination]) -> Self {
        Self::with(outbound(), destinations).await
    }

    async fn with(outbound: Outbound, destinations: &[Destination]) -> Self {
        let mut world = Self::start(TempDir::new().unwrap(), outbound).await;
        world.apply(destinations).await;
        world
    }

    /// Opens the spool of a folder; nothing is delivered until destinations are applied.
    async fn start(folder: TempDir, outbound: Outbound) -> Self {
        let watchdog = Watchdog::new();
        let spool = open(&folder, &watchdog).await;
        let fleet = Mutex::new(Fleet::new(&spool, outbound, watchdog, Handle::current()));
        let stop = CancellationToken::new();
        let keeper = spool.clone();
        let stopped = stop.clone();
        let keeper = tokio::spawn(async move { keeper.keep_state(stopped, || ()).await });
        Self { spool, fleet, folder, keeping: stop.drop_guard(), keeper }
    }

    /// Ends without waiting for what is in flight, and opens the spool again.
    async fn restart(self) -> Self {
        self.fleet.lock().await.stop_all(Duration::ZERO).await;
        drop(self.keeping);
        self.keeper.await.unwrap();
        self.spool.close().await;
        Self::start(self.folder, outbound()).await
    }

    async fn apply(&mut self, destinations: &[Destination]) {
        self.apply_with(destinations, Ruling::default()).await;
    }

    async fn apply_with(&mut self, destinations: &[Destination], ruling: Ruling) {
        let configured = self.spool.configure(destinations).await.unwrap();
        Fleet::apply(&self.fleet, &configured, ruling).await;
    }

    async fn accept(&self, body: &str) -> Seq {
        self.append(body_event(body)).await
    }

    async fn append(&self, record: Bytes) -> Seq {
        self.spool.parts().journal.append(record).await.unwrap()
    }

    fn status(&self) -> DestinationStatus {
        self.status_of("sink")
    }

    fn status_of(&self, name: &str) -> DestinationStatus {
        let mut statuses = self.spool.snapshot().destinations.into_iter();
        let status = statuses.find(|status| status.name == name).unwrap();
        assert!(status.adds_up(), "{status:?}");
        status
    }

    async fn until(&self, what: &str, satisfies: impl Fn(&DestinationStatus) -> bool) -> DestinationStatus {
        for _ in 0..2_000 {
            let status = self.status();
            if satisfies(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never {what}: {:?}", self.status())
    }
}

async fn open(folder: &TempDir, watchdog: &Watchdog) -> Spool {
    let kind = SpoolKind::Ephemeral { size: Some(64 << 20) };
    let ticker = watchdog.register("journal writer", BOUND);
    Spool::open(folder.path(), kind, 64 << 10, ticker).await.unwrap()
}

fn body_event(body: &str) -> Bytes {
    let mut event = event(&[], body.as_bytes());
    event.envelope.id = Uuid::new_v4();
    event.encode()
}

async fn sink() -> (Arc<Sink>, Destination) {
    let sink = Sink::new(Answer::status("200 OK")).await;
    let destination = destination(&sink.url());
    (Arc::new(sink), destination)
}

#[tokio::test]
async fn destination_forgotten_and_back_by_its_name_gets_what_comes() {
    let (sink, destination) = sink().await;
    let mut world = World::new(std::slice::from_ref(&destination)).await;
    world.accept("{}").await;
    world.until("delivered", |status| status.delivered == 1).await;
    // Its dispatcher is never told.
    world.spool.configure(&[]).await.unwrap();
    assert_eq!(world.spool.expire(Duration::ZERO, Duration::ZERO, &[]).len(), 1);
    world.accept("{}").await;

    world.apply(&[destination]).await;
    world.accept("{}").await;
    let status = world.until("nothing pending", |status| status.pending == 0).await;
    assert_eq!((status.accepted, status.delivered, sink.requests().len()), (1, 1, 2));
}

/// Returns a destination whose next attempt is due only long after the test.
fn patient(destination: Destination) -> Destination {
    let retry = Retry { schedule: vec![Duration::ZERO, Duration::from_mins(30)], jitter_percent: 0 };
    Destination { retry, ..destination }
}

/// Appends more events than the waiting room and the places for requests hold.
async fn fill(world: &World) {
    let body = "x".repeat(60 << 10);
    for _ in 0..80 {
        world.accept(&body).await;
    }
}

#[tokio::test]
async fn destination_back_from_an_outage_of_any_status_gets_all_soon() {
    let back_from = async |status| {
        let (sink, destination) = sink().await;
        sink.set(Answer::status(status));
        let world = World::new(&[patient(destination)]).await;
        fill(&world).await;
        world.until("waiting", |status| status.waiting > 4).await;
        // It rests, and is asked at least once whether it is back.
        let attempts = sink.requests().len();
        world.until("asked", |_| sink.requests().len() > attempts).await;
        assert_eq!(world.status().pending, 80, "{status}");
        sink.set(Answer::status("200 OK"));
        world.accept("{}").await;
        let after = world.until("nothing pending", |status| status.pending == 0).await;
        assert_eq!((after.delivered, after.dead_lettered), (81, 0), "{status}");
    };
    let statuses = ["404 Not Found", "422 Unprocessable Content", "503 Service Unavailable"];
    futures::future::join_all(statuses.map(back_from)).await;
}

#[tokio::test]
async fn last_failure_is_told_until_nothing_waits_for_another_try() {
    let (sink, mut destination) = sink().await;
    destination.retry =
        Retry { schedule: vec![Duration::ZERO, Duration::from_millis(100)], jitter_percent: 0 };
    sink.set(Answer::status("422 Unprocessable Content"));
    let mut world = World::new(std::slice::from_ref(&destination)).await;
    let failures = world.fleet.lock().await.report().last_failures;
    world.accept("{\"secret\":1}").await;
    world.until("told", |_| failures.of("sink").is_some()).await;
    assert_eq!(failures.of("sink").as_deref(), Some("answered 422"));
    world.until("dead", |status| status.dead_lettered == 1).await;
    assert!(failures.of("sink").is_some());
    sink.set(Answer::status("200 OK"));
    world.accept("{}").await;
    world.until("forgotten", |_| failures.of("sink").is_none()).await;
    // Nor has a destination the failures of the one that had its name.
    sink.set(Answer::status("503 Service Unavailable"));
    world.accept("{}").await;
    world.until("told again", |_| failures.of("sink").is_some()).await;
    let nowhere = Destination { retry: patient(destination.clone()).retry, ..destination };
    let url = visnyk_crds::valid::Target::Url("http://127.0.0.1:1/?token=sesame".parse().unwrap());
    world.apply(&[Destination { target: url, ..nowhere }]).await;
    world.until("another", |_| failures.of("sink").is_some_and(|said| !said.contains("503"))).await;
    let said = failures.of("sink").unwrap();
    assert!(said.contains("refused") && !said.contains("sesame"), "{said}");
}

#[tokio::test]
async fn answer_that_says_too_many_halves_the_limit_that_is_shown() {
    let (sink, destination) = sink().await;
    sink.set(Answer::status("429 Too Many Requests"));
    let mut world = World::new(&[patient(Destination { concurrency: 64, ..destination })]).await;
    let metrics = world.fleet.lock().await.report().metrics;
    world.until("shown", |_| metrics.concurrency_limit("sink") == Some(8)).await;
    world.accept("{}").await;
    world.until("halved", |_| metrics.concurrency_limit("sink") == Some(4)).await;
    world.apply(&[]).await;
    world.until("gone", |_| metrics.concurrency_limit("sink").is_none()).await;
}

#[tokio::test]
async fn full_waiting_room_stops_nothing_but_what_does_not_fit() {
    let (sink, destination) = sink().await;
    sink.set(Answer::status("422 Unprocessable Content"));
    let world = World::new(&[patient(Destination { concurrency: 64, ..destination })]).await;
    let body = "x".repeat(60 << 10);
    let mut accepted = 0;
    while sink.requests().len() < 60 {
        world.accept(&body).await;
        accepted += 1;
        assert!(accepted < 200);
        world.until("tried", |_| sink.requests().len() >= accepted).await;
    }
    // Some are held in memory, with places left.
    assert!(world.status().waiting < 60);
    sink.set(Answer::status("200 OK"));
    world.accept("{}").await;
    world.until("delivered", |status| status.delivered == 1).await;
}

#[tokio::test]
async fn events_held_in_memory_move_to_the_waiting_room_once_it_has_room() {
    let (sink, destination) = sink().await;
    sink.set(Answer::status("422 Unprocessable Content"));
    let first = patient(Destination { concurrency: 64, ..destination });
    let gone = Target::Url("http://127.0.0.1:9/".parse().unwrap());
    let other = Destination { name: "other".into(), target: gone, ..first.clone() };
    let mut world = World::new(&[first.clone(), other]).await;
    let body = "x".repeat(60 << 10);
    for number in 1..=40 {
        world.accept(&body).await;
        world.until("tried", |_| sink.requests().len() >= number).await;
    }
    assert!(world.status().waiting < 40, "all fit into half of the room");
    // What is left of the room once the other is forgotten is for the first.
    world.apply(std::slice::from_ref(&first)).await;
    assert_eq!(world.spool.expire(Duration::ZERO, Duration::ZERO, &[first]).len(), 1);
    world.until("moved", |status| status.waiting == 40).await;
    assert_eq!(sink.requests().len(), 40, "nothing was tried for that");
}

/// Returns the same record as a later version might write it.
fn of_a_later_version(record: &Bytes) -> Bytes {
    let mut record = record.to_vec();
    record[0] = 250;
    record.into()
}

#[tokio::test]
async fn record_of_a_newer_version_stops_its_reader_and_loses_nothing() {
    let (sink, destination) = sink().await;
    let mut world = World::new(std::slice::from_ref(&destination)).await;
    world.accept("before").await;
    world.append(of_a_later_version(&body_event("newer"))).await;
    world.accept("after").await;
    world.until("delivered", |status| status.delivered == 1).await;
    let waits = world.fleet.lock().await.report().blocked;
    world.until("told", |_| waits.of("sink").is_some()).await;
    let reason = waits.of("sink").unwrap();
    assert!(reason.contains("version 250") && reason.contains("start the version that wrote it"), "{reason}");
    let status = world.status();
    assert_eq!((status.pending, status.damaged, sink.requests().len()), (2, 0, 1));
    assert!(status.oldest_pending_ms.is_some());
    // A change of the destination does not hide why it waits.
    let changed = Destination { concurrency: 9, ..destination };
    world.apply(&[changed]).await;
    world.until("told again", |_| waits.of("sink").is_some()).await;
    assert_eq!(world.status().damaged, 0);
}

#[tokio::test]
async fn waiting_event_of_a_newer_version_keeps_waiting() {
    let world = World::new(&[]).await;
    let load = async |record| load(Stored::At(EventAt::Memory(record)), &world.spool.parts().events).await;
    let newer = of_a_later_version(&body_event("newer"));
    assert!(matches!(load(newer).await, Err(Ended::Unavailable { .. })));
    assert!(matches!(load(Bytes::from_static(b"\0junk junk")).await, Err(Ended::Unreadable { .. })));
}

#[tokio::test]
async fn age_of_what_a_removed_destination_has_is_known_after_a_restart() {
    let (folder, watchdog) = (TempDir::new().unwrap(), Watchdog::new());
    let destination = destination("http://127.0.0.1:1/");
    let spool = open(&folder, &watchdog).await;
    spool.configure(&[destination]).await.unwrap();
    spool.parts().journal.append(body_event("{}")).await.unwrap();
    spool.close().await;
    drop(spool);
    let spool = open(&folder, &watchdog).await;
    spool.configure(&[]).await.unwrap();
    let status = spool.snapshot().destinations.remove(0);
    assert_eq!((status.pending, status.oldest_pending_ms), (1, Some(RECEIVED_AT_MS)));
    spool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn slow_disk_holds_up_neither_the_fleet_nor_other_tasks() {
    let secrets = TempDir::new().unwrap();
    let [path, slow] = ["token", "slow"].map(|name| secrets.path().join("login").join(name));
    fs::create_dir(secrets.path().join("login")).unwrap();
    fs::write(&path, "first").unwrap();
    let token = SecretRef { name: "login".into(), key: "token".into() };
    let authorization = Some(Authorization::Bearer { token });
    let closed = Destination { authorization, ..destination("http://127.0.0.1:9/in") };
    let outbound = Outbound { secrets_dir: secrets.path().to_owned(), ..outbound() };
    let world = Arc::new(World::with(outbound, &[closed]).await);

    // Whoever reads a pipe waits until something is written.
    rustix::fs::mknodat(CWD, &slow, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    fs::rename(&slow, &path).unwrap();
    let reloading = Arc::clone(&world);
    let reloading = tokio::spawn(async move { Fleet::reload_files(&reloading.fleet).await });
    let open =
        || OpenOptions::new().write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(&path);
    let mut pipe = loop {
        match open() {
            Ok(pipe) => break pipe,
            // Not by the runtime, which may hang: then the test says so.
            Err(_nobody_reads) => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    let using = Arc::clone(&world);
    let (say, hear) = mpsc::channel();
    tokio::spawn(async move { say.send(using.fleet.lock().await.channel("sink").is_some()) });
    let used = hear.recv_timeout(Duration::from_secs(10));
    fs::write(&slow, "second").unwrap();
    fs::rename(&slow, &path).unwrap();
    pipe.write_all(b"second").unwrap();
    drop(pipe);
    reloading.await.unwrap();
    assert_eq!(used, Ok(true), "the fleet is not free, or its thread, while a file is read");
}
