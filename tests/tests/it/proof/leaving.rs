//! Relays go and come behind a balancer that learns late, and no sender notices; and what a kubelet asks is answered
//! whatever becomes of destinations and processors.

use std::{
    fs,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::setpriority_process;
use tokio::{runtime::Builder, task::spawn_blocking, time::sleep};
use visnyk_tests::{
    address::Address,
    balancer::{Backend, Balancer},
    honest::Honest,
    manifest::{self, RELAY_PORT, destination},
    probes::Probes,
    proof::{report, test_effort},
    relay::Relay,
    sender::Sender,
    tally::{Manner, Tally},
    wait::eventually,
};

/// Time for which a relay continues to accept: more than the balancer takes to learn.
const GRACE: Duration = Duration::from_secs(2);
/// Further time that a busy machine needs to end a process.
const TO_END: Duration = Duration::from_secs(5);
const SENDER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

#[tokio::test(flavor = "multi_thread")]
async fn restarts_behind_a_late_balancer_are_not_noticed() {
    let sink = Tally::start(Manner::Takes).await;
    let manifest = manifest::relay([destination("sink", &sink.url())]);
    let mut relays = [Relay::start(&manifest).await, Relay::start(&manifest).await];
    for relay in &mut relays {
        relay.terminate().await;
        relay.launch_with_grace(GRACE);
    }
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.crt");
    let authorities = relays.each_ref().map(|relay| fs::read(relay.data_dir().join("tls/ca.crt")).unwrap());
    fs::write(&ca, authorities.concat()).unwrap();
    let backend =
        |relay: &Relay| Backend { address: relay.address().port(RELAY_PORT), probes: relay.probes.clone() };
    let balancer = Balancer::before(relays.each_ref().map(backend)).await;
    let both = || eventually("both known", async || balancer.ready(), |ready| *ready == 2);
    both().await;

    let mut honest = Honest::through(balancer.address(), &ca, SENDER);
    let restarts = usize::try_from(test_effort(8, 100)).unwrap();
    let restarting = async {
        let mut slowest = Duration::ZERO;
        for turn in 0..restarts {
            let relay = &mut relays[turn % 2];
            let asked = Instant::now();
            let status = relay.terminate().await;
            slowest = slowest.max(asked.elapsed());
            assert_eq!(status.code(), Some(0));
            relay.launch_with_grace(GRACE);
            relay.probes.ready().await;
            both().await;
        }
        slowest
    };
    let (seen, slowest) = honest.send_beside(restarting).await;
    report(
        "restarts behind a balancer",
        &format!(
            "{restarts} by SIGTERM, {} requests, {} failed, the slowest process ended {slowest:.1?} after it was asked \
             (grace {GRACE:?})",
            honest.sent(),
            seen.failures.len()
        ),
    );
    assert_eq!(seen.failures, Vec::<String>::new());
    assert!(slowest < GRACE + TO_END, "{slowest:?}");
    let sent = usize::try_from(honest.sent()).unwrap();
    eventually("all delivered", async || sink.taken(), |taken| *taken == sent).await;
    assert!(sink.book().taken.values().all(|times| *times == 1), "an orderly end repeats nothing");
}

/// Threads that keep every processor busy, until dropped.
struct Busy(Arc<AtomicBool>);

impl Busy {
    fn begin() -> Self {
        let on = Arc::new(AtomicBool::new(true));
        for _ in 0..thread::available_parallelism().unwrap().get() {
            let on = on.clone();
            thread::spawn(move || while on.load(Ordering::Relaxed) {});
        }
        Self(on)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_are_answered_while_destinations_are_down_and_processors_busy() {
    let nowhere = Address::take();
    let destinations = ["pager", "archive"].map(|name| destination(name, &Tally::url_at(&nowhere)));
    let relay = Relay::start(&manifest::relay(destinations)).await;
    let sender = Sender::to(&relay);
    sender.send(50, 4).await;
    let failures = async || relay.process.said().matches("delivery failed").count();
    eventually("failures", failures, |failures| *failures >= 10).await;

    let busy = Busy::begin();
    let probes = relay.probes.anew();
    let asking = thread::spawn(move || ask_in_a_hurry(&probes));
    let mut took = spawn_blocking(|| asking.join().unwrap()).await.unwrap();
    drop(busy);
    took.sort_unstable();
    let [usual, most, slowest] = [50, 99, 100].map(|percent| took[took.len() * percent / 100 - 1]);
    report(
        "probes, destinations down and processors busy",
        &format!("{} asked, half within {usual:.1?}, 99 % {most:.1?}, the slowest {slowest:.1?}", took.len()),
    );
    assert!(most < Duration::from_millis(100), "{most:?}");
    // The kubelet waits for so long.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

/// Asks before whatever else wants a processor, as who asks from another machine would: the relay's wait counts and not
/// the asker's. Returns how long each answer took.
fn ask_in_a_hurry(probes: &Probes) -> Vec<Duration> {
    // Of this thread; whoever may not is as patient as the others.
    let _ = setpriority_process(None, -20);
    let asking = async {
        let mut took = Vec::new();
        for _ in 0..test_effort(100, 2_000) {
            for path in ["/livez", "/readyz"] {
                let asked = Instant::now();
                let (status, body) = probes.get(path).await.expect("an answer");
                took.push(asked.elapsed());
                assert_eq!(status, http::StatusCode::OK, "{path}: {body}");
            }
            sleep(Duration::from_millis(20)).await;
        }
        took
    };
    Builder::new_current_thread().enable_all().build().unwrap().block_on(asking)
}
