//! The whole life of events that fail in every way there is, on a virtual clock and a real state file that is opened
//! anew after each step.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tempfile::TempDir;
use visnyk_crds::valid::{Retry, Statuses};

use super::*;
use crate::deliver::{
    retry_after,
    testing::{WITHOUT_ANSWER, destination},
};
use crate::state::fake::{FakeJournal, record, wanted};
use crate::state::{Death, DestinationId, Ledgers, Lifecycle, Postponed, Seq, Store, StoreOptions};

const OPTIONS: StoreOptions = StoreOptions { max_bytes: 1 << 30 };
const HOUR: Duration = Duration::from_hours(1);
/// Sum of all waits of the schedule.
const WHOLE: Duration = Duration::from_secs(75 * 3600 + 35 * 60 + 5);

/// A destination with the schedule of Standard Webhooks that calls 422 final.
fn standard() -> Destination {
    let seconds = [0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
    let retry = Retry { schedule: seconds.map(Duration::from_secs).to_vec(), jitter_percent: 20 };
    Destination {
        retry,
        final_statuses: Statuses(vec![422..=422]),
        ..destination("https://sink.example.org/")
    }
}

/// Every way in which an attempt can fail, each with and without a wish of the destination's.
fn failures() -> Vec<Failure> {
    let kinds = (300..=599).map(FailureKind::Status).chain(WITHOUT_ANSWER);
    kinds
        .flat_map(|kind| {
            [None, Some(Duration::from_secs(90)), Some(retry_after::MAX_FOR_EVENT)]
                .map(|retry_after| Failure { retry_after, ..Failure::new(kind, "broken") })
        })
        .collect()
}

/// A state file, and events that fail each in its own way, by sequence.
struct World {
    dir: TempDir,
    journal: FakeJournal,
    id: DestinationId,
    ledgers: Ledgers,
    store: Store,
    now_ms: i64,
    random: StdRng,
    /// Virtual milliseconds that each event has waited, and the least that its destination asked for.
    waited_ms: BTreeMap<Seq, u64>,
}

impl World {
    async fn new(events: usize) -> Self {
        let dir = TempDir::new().unwrap();
        let (store, loaded) = Store::open(dir.path(), OPTIONS, 1).await.unwrap();
        let mut journal = FakeJournal::default();
        let (mut ledgers, _) = Ledgers::open(loaded, OPTIONS.max_bytes, journal.oldest(), 0, &journal);
        let id = ledgers.configure(&[wanted("sink")], 0, &journal).ids[0];
        (0..events).for_each(|_| _ = journal.push(true));
        let random = StdRng::seed_from_u64(7);
        let now_ms = 1_700_000_000_000;
        Self { dir, journal, id, ledgers, store, now_ms, random, waited_ms: BTreeMap::new() }
    }

    /// As after a crash that followed a commit.
    async fn restart(self) -> Self {
        let Self { dir, journal, id, mut ledgers, store, now_ms, random, waited_ms } = self;
        let batch = ledgers.take_batch().unwrap();
        store.commit(&batch).await.unwrap();
        drop((store, ledgers));
        let (store, loaded) = Store::open(dir.path(), OPTIONS, 1).await.unwrap();
        let (ledgers, _) = Ledgers::open(loaded, OPTIONS.max_bytes, journal.oldest(), now_ms, &journal);
        Self { dir, journal, id, ledgers, store, now_ms, random, waited_ms }
    }

    /// The `attempts`th attempt at an event fails.
    fn fail(&mut self, seq: Seq, attempts: u32, failure: &Failure) -> Verdict {
        let verdict = verdict(&standard(), attempts, failure, self.random.random());
        let ledger = self.ledgers.get_mut(self.id).unwrap();
        match verdict {
            Verdict::Again(delay) => {
                let delay_ms = u64::try_from(delay.as_millis()).unwrap();
                let due_at_ms = self.now_ms.strict_add_unsigned(delay_ms);
                let postponed = Postponed { attempts, due_at_ms, delay_ms, last_error: "broken".into() };
                let waits = match attempts {
                    1 => ledger.postpone_fresh(seq, record(seq), &postponed).unwrap(),
                    _ => ledger.postpone_waiting(seq, &postponed),
                };
                assert!(waits);
                *self.waited_ms.entry(seq).or_default() += delay_ms;
            }
            Verdict::Dead => {
                let death = Death { attempts, died_at_ms: self.now_ms, reason: "broken".into() };
                let died = match attempts {
                    1 => ledger.dead_letter_fresh(seq, record(seq), &death),
                    _ => ledger.dead_letter_waiting(seq, &death),
                };
                assert!(died.unwrap());
            }
            Verdict::Gone => ledger.disable(),
        }
        verdict
    }
}

#[tokio::test]
async fn every_failure_is_tried_ten_times_over_the_schedule_and_restarts() {
    let failures = failures();
    let mut world = World::new(failures.len()).await;
    let mut alive: BTreeMap<Seq, &Failure> = (1..).zip(&failures).collect();
    for attempts in 1..=10 {
        let mut waits = BTreeMap::new();
        alive.retain(|seq, failure| match world.fail(*seq, attempts, failure) {
            Verdict::Again(delay) => waits.insert(*seq, delay).is_none(),
            Verdict::Dead => {
                assert_eq!(
                    attempts == 10,
                    failure.kind != FailureKind::Status(422),
                    "{failure:?} died at {attempts}"
                );
                false
            }
            Verdict::Gone => {
                assert_eq!((failure.kind, attempts), (FailureKind::Status(410), 1));
                false
            }
        });
        world = world.restart().await;
        let ledger = world.ledgers.get(world.id).unwrap();
        let waiting: BTreeMap<_, _> = ledger.waiting().map(|event| (event.seq, event.postponed)).collect();
        assert_eq!(waiting.keys().collect::<Vec<_>>(), alive.keys().collect::<Vec<_>>());
        for (seq, postponed) in waiting {
            let (delay, failure) = (waits[&seq], alive[&seq]);
            let scheduled = standard().retry.schedule[attempts as usize];
            let asked = failure.retry_after.unwrap_or_default();
            assert!(delay >= asked, "{failure:?} waits {delay:?}");
            assert!(
                delay >= scheduled * 4 / 5 && delay <= (scheduled * 6 / 5).max(asked),
                "{failure:?}: {delay:?}"
            );
            assert_eq!(postponed.attempts, attempts);
            // A clock that was set back makes no wait longer.
            for (now_ms, remaining) in [(world.now_ms, delay), (0, delay), (i64::MAX, Duration::ZERO)] {
                assert_eq!(u128::from(postponed.remaining_ms(now_ms)), remaining.as_millis());
            }
        }
        world.now_ms += i64::try_from((24 * HOUR * 6 / 5).as_millis()).unwrap();
    }
    let ledger = world.ledgers.get(world.id).unwrap();
    assert_eq!(ledger.lifecycle(), Lifecycle::Disabled, "one of them was a 410");
    let status = ledger.status(&world.journal);
    assert!(status.adds_up(), "{status:?}");
    // The three 410s are pending in the journal.
    assert_eq!((status.dead_lettered, status.pending), (failures.len() as u64 - 3, 3));
    for (seq, failure) in (1..).zip(&failures).filter(|(_, failure)| failure.retry_after.is_none()) {
        let Some(waited) = world.waited_ms.get(&seq).copied().map(Duration::from_millis) else { continue };
        assert!(waited > WHOLE * 4 / 5 && waited < WHOLE * 6 / 5, "{failure:?} waited {waited:?}");
    }
}

#[test]
fn jitter_is_uniform() {
    const SAMPLES: u32 = 100_000;
    const BINS: usize = 10;
    let mut random = StdRng::seed_from_u64(7);
    let mut bins = [0_u32; BINS];
    let timeout = Failure::new(FailureKind::Timeout, "late");
    for _ in 0..SAMPLES {
        // Five minutes give or take one.
        let Verdict::Again(delay) = verdict(&standard(), 2, &timeout, random.random()) else {
            panic!("tried no more")
        };
        let share = (delay.as_secs_f64() - 240.0) / 120.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let bin = (share * BINS as f64) as usize;
        bins[bin.min(BINS - 1)] += 1;
    }
    // Five standard deviations of a bin are 474.
    let even = SAMPLES / 10;
    assert!(bins.iter().all(|count| count.abs_diff(even) < 474), "{bins:?}");
}
