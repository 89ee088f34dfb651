use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::super::fake::{FakeJournal, postponed, wanted};
use super::super::{
    DestinationId, Ending, First, Ledger, Ledgers, Lifecycle, Loaded, Record, SeenEvent, SeenPage,
    StoreOptions,
};
use super::*;
use crate::event::Key;

struct Setup {
    dir: TempDir,
    ledgers: SharedLedgers,
    seen: Arc<Mutex<Seen>>,
    committer: Committer,
    watermark: watch::Sender<Seq>,
    freed: watch::Receiver<Option<Seq>>,
    id: DestinationId,
}

fn seen() -> Arc<Mutex<Seen>> {
    Arc::new(Mutex::new(Seen::open(Vec::new(), 0, 1 << 30)))
}

async fn load(dir: &Path, max_bytes: u64) -> (Store, Loaded) {
    Store::open(dir, StoreOptions { max_bytes }, 0).await.unwrap()
}

impl Setup {
    async fn new(max_bytes: u64) -> Self {
        let dir = TempDir::new().unwrap();
        let (store, loaded) = load(dir.path(), max_bytes).await;
        let journal = FakeJournal::with_events(9);
        let (mut ledgers, _) = Ledgers::open(loaded, 1 << 30, 1, 0, &journal);
        let id = ledgers.configure(&[wanted("archive")], 0, &journal).ids[0];
        let ledgers = SharedLedgers::new(ledgers);
        let (report, freed) = watch::channel(None);
        let (watermark, synced) = watch::channel(9);
        let free = move |seq| _ = report.send_replace(seq);
        let seen = seen();
        let committer = Committer::new(store, ledgers.clone(), seen.clone(), synced, || 7_000, free);
        Self { dir, ledgers, seen, committer, watermark, freed, id }
    }

    fn ledger<R>(&self, act: impl FnOnce(&mut Ledger) -> R) -> R {
        act(self.ledgers.lock().get_mut(self.id).unwrap())
    }

    fn postpone(&self, seq: Seq, size: usize) {
        let record = Record { bytes: vec![7; size].into(), received_at_ms: 0 };
        assert_eq!(self.ledger(|ledger| ledger.postpone_fresh(seq, record, &postponed(1))), Ok(true));
    }
}

async fn cursor_in_file(dir: &Path) -> Seq {
    load(dir, 1 << 30).await.1.destinations[0].0.cursor
}

#[tokio::test]
async fn starting_cursor_is_in_the_file_once_commit_now_returns() {
    let setup = Setup::new(1 << 30).await;
    setup.committer.commit_now().await.unwrap();
    assert_eq!(load(setup.dir.path(), 1 << 30).await.1.destinations.len(), 1);
    assert_eq!(*setup.freed.borrow(), Some(0));
}

#[tokio::test]
async fn journal_is_freed_by_the_file_and_the_last_changes_are_flushed() {
    let mut setup = Setup::new(1 << 30).await;
    let (stop, ticks) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let counter = ticks.clone();
    let run = setup.committer.clone().run(stop.clone(), move || _ = counter.fetch_add(1, Ordering::Relaxed));
    let run = tokio::spawn(run);
    setup.ledger(|ledger| ledger.finish_fresh(1, Ending::Delivered));
    setup.freed.wait_for(|freed| *freed == Some(1)).await.unwrap();
    assert_eq!(cursor_in_file(setup.dir.path()).await, 1);
    assert!(ticks.load(Ordering::Relaxed) > 0);
    setup.ledger(|ledger| ledger.finish_fresh(2, Ending::Delivered));
    stop.cancel();
    run.await.unwrap();
    assert_eq!((cursor_in_file(setup.dir.path()).await, *setup.freed.borrow()), (2, Some(2)));
}

#[tokio::test]
async fn nothing_is_freed_while_the_file_is_full_and_all_recovers() {
    let mut setup = Setup::new(1 << 20).await;
    let stop = CancellationToken::new();
    let run = tokio::spawn(setup.committer.clone().run(stop.clone(), || ()));
    let mut commit_state = setup.committer.commit_state();
    setup.freed.wait_for(|freed| *freed == Some(0)).await.unwrap();
    (1..=4).for_each(|seq| setup.postpone(seq, 300_000));
    commit_state.wait_for(|commit_state| *commit_state == CommitState::Full).await.unwrap();
    assert_eq!(setup.committer.commit_now().await, Err(NotCommitted::Full));
    assert_eq!(*setup.freed.borrow(), Some(0));
    (2..=4).for_each(|seq| assert!(setup.ledger(|ledger| ledger.finish_waiting(seq, Ending::Delivered))));
    commit_state.wait_for(|commit_state| *commit_state == CommitState::Good).await.unwrap();
    setup.freed.wait_for(|freed| *freed == Some(4)).await.unwrap();
    stop.cancel();
    run.await.unwrap();
}

#[tokio::test]
async fn destinations_that_cannot_be_kept_change_nothing_until_they_can() {
    let setup = Setup::new(1 << 20).await;
    setup.committer.commit_now().await.unwrap();
    (1..=4).for_each(|seq| setup.postpone(seq, 300_000));
    let configure = async || {
        let journal = FakeJournal::with_events(9);
        setup.committer.configure(vec![wanted("pager")], 50, journal).await
    };
    assert_eq!(configure().await, Err(NotCommitted::Full));
    let names = |ledgers: &Ledgers| {
        ledgers.iter().map(|ledger| (ledger.name().to_owned(), ledger.lifecycle())).collect::<Vec<_>>()
    };
    assert_eq!(names(&setup.ledgers.lock()), [("archive".into(), Lifecycle::Active)]);
    let journal = FakeJournal::with_events(9);
    assert_eq!(setup.ledgers.lock().expire(0, u64::MAX, &std::collections::BTreeSet::new(), &journal), []);

    (2..=4).for_each(|seq| assert!(setup.ledger(|ledger| ledger.finish_waiting(seq, Ending::Delivered))));
    assert_eq!(configure().await.unwrap().removed, ["archive"]);
    let now = [("archive".into(), Lifecycle::Removed { at_ms: 50 }), ("pager".into(), Lifecycle::Active)];
    assert_eq!(names(&setup.ledgers.lock()), now);
    let (_, loaded) = load(setup.dir.path(), 1 << 30).await;
    let kept: Vec<_> = loaded.destinations.iter().map(|(row, _)| (row.name.clone(), row.lifecycle)).collect();
    assert_eq!(kept, now);
}

#[tokio::test]
async fn broken_state_stays_broken_until_a_restart() {
    let setup = Setup::new(1 << 30).await;
    setup.committer.commit_now().await.unwrap();
    // A table that is not there is no less broken than a disk that fails.
    setup.committer.inner.store.execute("ALTER TABLE held RENAME TO hidden").await;
    setup.postpone(1, 10);
    assert_eq!(setup.committer.commit_now().await, Err(NotCommitted::Broken));
    assert_eq!(*setup.committer.commit_state().borrow(), CommitState::Broken);
    // Even if it would work now: nobody knows what the failure left behind.
    setup.committer.inner.store.execute("ALTER TABLE hidden RENAME TO held").await;
    assert_eq!(setup.committer.commit_now().await, Err(NotCommitted::Broken));
    assert_eq!((cursor_in_file(setup.dir.path()).await, *setup.freed.borrow()), (0, Some(0)));
}

#[tokio::test]
async fn journal_keeps_an_event_until_its_id_is_in_the_file() {
    let setup = Setup::new(1 << 30).await;
    let key = Key::new("shop", None, "1");
    let event = SeenEvent { key, event: uuid::Uuid::from_u128(1), until_ms: i64::MAX };
    let is_first = setup.seen.lock().unwrap().begin(key, 0, 3);
    assert!(matches!(is_first, First::Yes));
    // Delivered before it is known here under which sequence it was accepted.
    setup.ledger(|ledger| ledger.discard(Seq::MAX, &FakeJournal::with_events(9)));
    setup.committer.commit_now().await.unwrap();
    assert_eq!(*setup.freed.borrow(), Some(3));

    setup.seen.lock().unwrap().complete(key, Some(event));
    setup.postpone(10, 1);
    setup.committer.commit_now().await.unwrap();
    assert_eq!(*setup.freed.borrow(), Some(9));
    let loaded = load(setup.dir.path(), 1 << 30).await.1;
    assert_eq!((loaded.seen, loaded.seen_through), (vec![SeenPage { row: 1, events: vec![event] }], 9));
}

#[tokio::test]
async fn watermark_is_in_the_file_even_if_no_destination_is_there_yet() {
    let setup = Setup::new(1 << 30).await;
    setup.committer.commit_now().await.unwrap();
    setup.watermark.send_replace(4_711);
    setup.committer.commit_now().await.unwrap();
    assert_eq!(load(setup.dir.path(), 1 << 30).await.1.max_seq(), 4_711);
}

#[tokio::test]
async fn opened_file_is_written_once_and_then_only_for_a_change() {
    let setup = Setup::new(1 << 30).await;
    setup.committer.commit_now().await.unwrap();
    let (store, loaded) = load(setup.dir.path(), 1 << 30).await;
    let (ledgers, _) = Ledgers::open(loaded, 1 << 30, 1, 0, &FakeJournal::with_events(9));
    let ledgers = SharedLedgers::new(ledgers);
    let commits = Arc::new(AtomicUsize::new(0));
    let count = {
        let commits = commits.clone();
        move |_| _ = commits.fetch_add(1, Ordering::Relaxed)
    };
    let committer = Committer::new(store, ledgers, seen(), watch::channel(9).1, || 0, count);
    for _ in 0..3 {
        committer.commit_now().await.unwrap();
        assert_eq!(commits.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn idle_committer_wakes_once_a_second_and_at_once_for_a_change() {
    let mut setup = Setup::new(1 << 30).await;
    setup.committer.commit_now().await.unwrap();
    let (stop, ticks) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let counter = ticks.clone();
    let run = setup.committer.clone().run(stop.clone(), move || _ = counter.fetch_add(1, Ordering::Relaxed));
    let run = tokio::spawn(run);
    sleep(Duration::from_mins(1)).await;
    let idle = ticks.load(Ordering::Relaxed);
    assert!((55..=61).contains(&idle), "{idle} in 60 s");

    setup.ledger(|ledger| ledger.finish_fresh(1, Ending::Delivered));
    setup.freed.wait_for(|freed| *freed == Some(1)).await.unwrap();
    assert_eq!(ticks.load(Ordering::Relaxed), idle + 1);
    stop.cancel();
    run.await.unwrap();
}
