//! A destination returns from the dead to 100,000 waiting events, and gets through 200 a second: it is never asked for
//! more at once than it is said to stand, and what is fresh for another destination does not wait for it.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;
use visnyk_tests::{
    address::Address,
    conservation::assert_adds_up,
    flood::{Flood, small_body},
    manifest::{self, destination, with},
    proof::{is_long, report},
    relay::Relay,
    tally::{Book, Manner, Tally},
    wait::eventually,
};

use super::fill::fill;

const WAITING: u64 = 100_000;
/// Of one event; 200 a second.
const WORK: Duration = Duration::from_millis(5);
const CONCURRENCY: usize = 16;
/// Time for which it is watched in the short form.
const WATCHED: Duration = Duration::from_secs(10);
/// Maximum delay of a fresh event elsewhere, which takes milliseconds on an idle machine.
const FRESH: Duration = Duration::from_secs(1);
const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn destination_that_returns_is_not_buried_and_holds_up_nothing_fresh() {
    let nowhere = Address::take();
    let well = Tally::start(Manner::Takes).await;
    let dead = with(destination("dead", &Tally::url_at(&nowhere)), json!({"concurrency": CONCURRENCY}));
    let alone = manifest::relay([dead.clone()]);
    let both = manifest::relay([dead, destination("well", &well.url())]);
    let mut relay = Relay::start(&alone).await;
    relay.terminate().await;
    fill(relay.data_dir(), WAITING, 1 << 30, small_body).await;
    relay.restart_with(&both).await;
    // So many open the breaker: nothing more is tried but now and then.
    let failures = async || relay.process.said().matches("delivery failed").count();
    eventually("failures", failures, |failures| *failures >= 5).await;

    let returned = Instant::now();
    let tally = Tally::start_at(nowhere, Manner::OneByOne(WORK)).await;
    let flood = Flood::steady(&relay, 8, 100);
    flood.resume();
    eventually("back", async || tally.taken(), |taken| *taken > 0).await;
    let back = Instant::now();
    sleep(WATCHED).await;
    let per_second = tally.taken() as u128 * 1_000 / back.elapsed().as_millis();
    let capacity = 1_000 / WORK.as_millis();
    flood.finish().await;
    relay.until("well", "nothing pending", |well| well["pending"] == 0).await;
    if is_long() {
        while tally.taken() < usize::try_from(WAITING).unwrap() {
            let before = tally.taken();
            eventually("more", async || tally.taken(), |taken| *taken > before).await;
        }
    }
    assert_adds_up(&relay.probes.status().await);
    let (book, fresh) = (tally.book(), slowest(&flood, &well.book()));
    let memory = relay.process.peak_memory() / MIB;
    report(
        "return of a dead destination",
        &format!(
            "{WAITING} waiting, back {:.1?} after it was there, {per_second} a second where it can do {capacity}, at most {} at once, \
             {} repeats; {} fresh events elsewhere, the slowest after {fresh:.1?}; {memory} MiB",
            back - returned,
            book.crowd,
            book.taken.values().filter(|times| **times > 1).count(),
            flood.accepted()
        ),
    );
    assert!(book.crowd <= CONCURRENCY, "{} at once", book.crowd);
    // It wakes up with one request; then it is kept as busy as it can be.
    assert!(per_second > capacity / 3, "only {per_second} a second");
    assert!(fresh < FRESH, "a fresh event waited {fresh:?}");
}

/// Returns the longest that an event was on its way.
fn slowest(flood: &Flood, book: &Book) -> Duration {
    let accepted = flood.answers().accepted;
    assert!(!accepted.is_empty());
    let on_its_way =
        |(number, sent): (&u64, &Instant)| book.taken_at[number].saturating_duration_since(*sent);
    accepted.iter().map(on_its_way).max().unwrap()
}
