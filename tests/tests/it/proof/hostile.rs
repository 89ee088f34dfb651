//! Slow and hostile clients beside honest ones, who must not notice: 200 events a second go on succeeding, memory stays
//! within bounds, and afterwards the relay has as many files open as before, and memory that the next attack makes do with.

mod floods;
mod slow;
mod smuggling;

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::process::setpriority_process;
use serde_json::json;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
    time::{sleep, timeout},
};
use visnyk_tests::{
    honest::{Honest, Seen},
    manifest::{self, RELAY_PORT, destination, with},
    proof::{by_build, report, test_effort},
    relay::Relay,
    tally::{Manner, Tally},
    wait::eventually,
    wire::Wire,
};

/// Twice what they have alone, or this: the machine runs the attack, too.
const SLOWEST: Duration = by_build(Duration::from_millis(20), Duration::from_secs(3));
const MEMORY: u64 = 64 << 20;
/// Memory in bytes that a second attack may leave beyond the first: the allocator keeps some of the first for the
/// next.
const LEFT_BEHIND: u64 = 24 << 20;
/// Time within which the memory of attackers is freed once they have gone.
const RETURN: Duration = Duration::from_secs(30);

const HONEST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// Attackers have what the honest and the relay leave of the processors: they are to trouble the relay, not the machine.
static ATTACKERS: LazyLock<Runtime> = LazyLock::new(|| {
    // Of the thread that says so.
    let humble = || setpriority_process(None, 19).unwrap();
    Builder::new_multi_thread().worker_threads(2).enable_all().on_thread_start(humble).build().unwrap()
});

/// Somebody who attacks, until dropped.
struct Attack {
    task: JoinHandle<()>,
    blows: Blows,
    /// So much of it shows that it is one.
    least: Shown,
}

/// Evidence of an attack.
#[derive(Clone, Copy)]
enum Shown {
    /// In so many frames, chunks or requests that were sent.
    Sent(u64),
    /// In so many connections that the relay has open.
    Held(u64),
}

/// Counts what attackers have sent. Clones count together.
#[derive(Clone, Default)]
struct Blows(Arc<AtomicU64>);

impl Blows {
    fn count(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A relay with honest senders, before anybody attacks it.
struct Siege {
    relay: Relay,
    honest: Honest,
    sink: Tally,
    alone: Seen,
    memory: u64,
    /// Most that memory may grow by under attack.
    most: u64,
    files: usize,
}

impl Siege {
    async fn new() -> Self {
        let sink = Tally::start(Manner::Takes).await;
        // Both read what they are sent.
        let formats = ["Line", "CloudEvents"];
        let reading = formats.map(|format| {
            let retry = json!({"schedule": ["0s"]});
            with(destination(&format.to_lowercase(), &sink.url()), json!({"format": format, "retry": retry}))
        });
        // So few connections go out that those that are still idle do not count as what attackers have left behind.
        let destinations = [destination("sink", &sink.url())]
            .into_iter()
            .chain(reading)
            .map(|destination| with(destination, json!({"concurrency": 4})));
        let mut manifest = manifest::relay(destinations);
        manifest["spec"]["listener"]["maxBodySize"] = "4Mi".into();
        // In memory: it is not the disk that is attacked, and other tests keep it busy.
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let data = folder.path().join("data");
        let relay = Relay::start_in(folder, data, &manifest).await;
        let mut honest = Honest::to(&relay, HONEST);
        honest.send_for(Duration::from_secs(1)).await;
        let alone = honest.send_for(Duration::from_secs(test_effort(2, 20))).await;
        assert_eq!(alone.failures, Vec::<String>::new());
        let (memory, files) = (relay.process.memory(), relay.process.open_files());
        Self { relay, honest, sink, alone, memory, most: MEMORY, files }
    }

    /// Returns the wire to attack it on.
    fn wire(&self) -> Wire {
        let ca = self.relay.data_dir().join("tls/ca.crt");
        Wire::new(self.relay.address().port(RELAY_PORT), ATTACKER, &ca)
    }

    /// Lets somebody attack, and once more: what the first attack took is there for the second, which leaves nothing more
    /// behind.
    async fn withstands(mut self, what: &str, attack: impl AsyncFn() -> Attack) {
        self.endures(what, attack().await).await;
        let once = self.relay.process.memory();
        let again = format!("{what}, again");
        self.endures(&again, attack().await).await;
        let twice = self.relay.process.memory();
        let added = twice.saturating_sub(once);
        report(
            &format!("after {what}"),
            &format!("{} KiB, {} KiB, {} KiB", self.memory >> 10, once >> 10, twice >> 10),
        );
        assert!(added <= LEFT_BEHIND, "the second attack left {} KiB behind", added >> 10);
    }

    /// Lets honest senders send while somebody attacks, then ends the attack, and sees what it did to them and to the
    /// relay.
    async fn endures(&mut self, what: &str, attack: Attack) {
        let (process, files) = (&self.relay.process, self.files);
        let shown = async || match attack.least {
            Shown::Sent(_) => attack.blows.so_far(),
            Shown::Held(_) => process.open_files().saturating_sub(files) as u64,
        };
        let (Shown::Sent(least) | Shown::Held(least)) = attack.least;
        // On a busy machine the attackers, who are humble, may need a while.
        let under_attack = async {
            sleep(Duration::from_secs(test_effort(2, 60))).await;
            eventually("an attack", shown, |shown| *shown >= least).await
        };
        let (beside, shown) = self.honest.send_beside(under_attack).await;
        let peak = process.peak_memory();
        assert!(!attack.task.is_finished(), "{what} ended by itself");
        let shown = match attack.least {
            Shown::Sent(_) => format!("{shown} sent"),
            Shown::Held(_) => format!("{shown} connections"),
        };
        drop(attack);
        self.judges(&format!("{what}, {shown}"), &beside, peak);
        self.recovers().await;
    }

    /// Asserts the limits for honest senders beside something, and for the memory that it took.
    fn judges(&self, what: &str, beside: &Seen, peak: u64) {
        let (alone, p99) = (self.alone.p99(), beside.p99());
        let sent = beside.latencies.len() + beside.failures.len();
        report(
            &format!("beside {what}"),
            &format!(
                "{} of {sent} honest requests failed, p99 {p99:.1?} (alone {alone:.1?}), memory {} MiB at most \
                 (before {} MiB)",
                beside.failures.len(),
                peak >> 20,
                self.memory >> 20,
            ),
        );
        let grown = peak.saturating_sub(self.memory);
        assert!(beside.failures.len() * 1_000 <= sent, "{:?}", beside.failures);
        assert!(p99 <= SLOWEST.max(alone * 2), "{p99:?} beside {what}, {alone:?} alone");
        assert!(grown <= self.most, "memory grew by {} MiB", grown >> 20);
    }

    async fn recovers(&mut self) {
        self.relay.process.assert_running();
        let sent = self.honest.sent();
        eventually("all delivered", async || self.sink.taken() as u64, |taken| *taken >= sent).await;
        let (process, before) = (&self.relay.process, self.files);
        // The honest have come and gone, too: a handful of connections more or less.
        let all = eventually("files given back", async || process.open_files(), |now| *now <= before + 16);
        timeout(RETURN, all).await.expect("files are given back in time");
        assert!(self.relay.probes.alive().await);
    }
}
