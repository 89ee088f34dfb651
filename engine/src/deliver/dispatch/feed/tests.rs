//! Feeds of several destinations over one reader, from a journal that is a list.

mod decided;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::FutureExt;
use tokio::sync::watch;
use visnyk_runtime::observe::watchdog::{BOUND, Watchdog};

use super::*;
use crate::deliver::testing::event;
use crate::journal::{Entry, Folder, Journal, Options, ReadError, TRIES};
use crate::state::Accepted;
use crate::triage::{EventReader, LogReader, testing};

/// A journal that is a list, whose disk fails as told.
struct ListLog {
    entries: Mutex<Vec<Entry>>,
    watermark: watch::Sender<Seq>,
    /// Number of entries that were read.
    reads: AtomicUsize,
    /// Number of reads that are still to fail.
    failures: AtomicU32,
    /// Writes fail, too.
    is_failing: AtomicBool,
    /// Any position: no test here asks for another.
    position: Position,
}

impl ListLog {
    fn new() -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { segment_size: 16 << 10, max_size: 64 << 10, min_next_seq: 1 };
        let disk = Arc::new(Folder::open(folder.path()).unwrap());
        let position = Journal::open(disk, &options, || ()).unwrap().0.reader(0).position();
        Arc::new(Self {
            entries: Mutex::default(),
            watermark: watch::Sender::new(0),
            reads: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
            is_failing: AtomicBool::new(false),
            position,
        })
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, entry: Entry) {
        let last = entry.last();
        self.entries().push(entry);
        self.watermark.send_replace(last);
    }

    fn accept(&self, count: u64) {
        for _ in 0..count {
            let seq = *self.watermark.borrow() + 1;
            self.push(Entry::Record { seq, bytes: event(&[], &[b'x'; 1000]).encode() });
        }
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

impl Accepted for ListLog {
    fn watermark(&self) -> Seq {
        *self.watermark.borrow()
    }

    fn accepted_through(&self, seq: Seq) -> u64 {
        seq
    }
}

/// A log, with the next sequence to read from it.
struct ListReader(Arc<ListLog>, Seq);

impl LogReader for ListReader {
    fn next(&mut self) -> Result<Option<Entry>, ReadError> {
        let fails = |left: u32| left.checked_sub(1);
        if self.0.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails).is_ok() {
            return Err(ReadError { file: "000000.seg".into(), source: io::Error::other("no page") });
        }
        let entry = self.0.entries().iter().find(|entry| entry.last() >= self.1).cloned();
        if let Some(entry) = &entry {
            self.0.reads.fetch_add(1, Ordering::SeqCst);
            self.1 = entry.last() + 1;
        }
        Ok(entry)
    }

    fn position(&self) -> Position {
        self.0.position
    }

    fn give_up(&mut self) -> bool {
        let mut entries = self.0.entries();
        let seq = self.1;
        entries
            .iter_mut()
            .filter(|entry| entry.last() == seq)
            .for_each(|entry| *entry = Entry::Damaged { first: seq, last: seq });
        true
    }
}

/// The log as it is shared.
struct Shared(Arc<ListLog>);

impl Accepted for Shared {
    fn watermark(&self) -> Seq {
        Accepted::watermark(&*self.0)
    }

    fn accepted_through(&self, seq: Seq) -> u64 {
        seq
    }
}

impl EventLog for Shared {
    fn reader(&self, after: Seq) -> Box<dyn LogReader> {
        Box::new(ListReader(Arc::clone(&self.0), after + 1))
    }

    fn watch_watermark(&self) -> watch::Receiver<Seq> {
        self.0.watermark.subscribe()
    }

    fn bytes_after(&self, _: &Position) -> u64 {
        0
    }

    fn is_failing(&self) -> bool {
        self.0.is_failing.load(Ordering::SeqCst)
    }
}

/// A log, its reader, and the tail that this fills.
struct World {
    list: Arc<ListLog>,
    tail: Arc<Tail>,
    triage: Arc<Triage>,
    reader: tokio::task::JoinHandle<()>,
}

impl World {
    fn new(memory: u64) -> Self {
        Self::with(memory, testing::without_rules())
    }

    fn with(memory: u64, triage: Arc<Triage>) -> Self {
        let (list, tail) = (ListLog::new(), Tail::with_memory(memory));
        let ticker = Watchdog::new().register("event reader", BOUND);
        let reader = tokio::spawn(
            EventReader::new(Arc::new(Shared(Arc::clone(&list))), Arc::clone(&triage), &tail, ticker).run(),
        );
        Self { list, tail, triage, reader }
    }

    fn feed(&self, after: Seq) -> Feed {
        Feed::new(Arc::new(Shared(Arc::clone(&self.list))), Arc::clone(&self.triage), &self.tail, after)
    }
}

/// Takes everything through `last`; returns the items.
async fn take(feed: &mut Feed, last: Seq) -> Vec<Item> {
    let mut items = vec![];
    while items.last().map_or(0, Item::last_seq) < last {
        match feed.pop() {
            Some(item) => items.push(item),
            None => feed.fill().await.unwrap(),
        }
    }
    items
}

fn seqs(items: &[Item]) -> Vec<Seq> {
    items.iter().map(Item::last_seq).collect()
}

#[tokio::test]
async fn event_is_read_once_for_all_destinations_that_keep_up() {
    let world = World::new(1 << 20);
    let [mut a, mut b] = [world.feed(0), world.feed(0)];
    world.list.accept(300);
    let (from_a, from_b) = (take(&mut a, 300).await, take(&mut b, 300).await);
    assert_eq!((seqs(&from_a), world.list.reads()), ((1..=300).collect(), 300));
    for pair in from_a.iter().zip(&from_b) {
        let (Item::Event { event: a, .. }, Item::Event { event: b, .. }) = pair else { panic!("{pair:?}") };
        assert!(Arc::ptr_eq(a, b));
    }
    // What all have taken needs no memory once they ask for more.
    assert!(a.fill().now_or_never().is_none() && b.fill().now_or_never().is_none());
    assert_eq!(world.tail.memory(), 0);
}

#[tokio::test]
async fn destination_that_lags_reads_alone_and_is_back_at_the_tail_later() {
    let memory = 500_000;
    let world = World::new(memory);
    let [mut fast, mut slow] = [world.feed(0), world.feed(0)];
    let mut from_slow = vec![];
    for round in 1..=20_u64 {
        world.list.accept(200);
        assert_eq!(take(&mut fast, round * 200).await.len(), 200);
        // The oldest chunk goes before the next comes, so that at most one is above the bound.
        assert!(world.tail.memory() <= memory + 256 * 3_000, "{}", world.tail.memory());
        if round == 1 {
            slow.fill().await.unwrap();
            from_slow.extend(slow.pop());
        }
    }
    let before = world.list.reads();
    from_slow.extend(take(&mut slow, 4_000).await);
    assert_eq!(seqs(&from_slow), (1..=4_000).collect::<Vec<_>>());
    let alone = world.list.reads() - before;
    assert!((3_000..4_000).contains(&alone), "it read {alone} by itself");

    world.list.accept(100);
    let before = world.list.reads();
    take(&mut slow, 4_100).await;
    take(&mut fast, 4_100).await;
    assert_eq!(world.list.reads() - before, 100, "read once, for both");
}

#[tokio::test]
async fn destination_that_is_far_ahead_waits_for_no_backlog_of_another() {
    let world = World::new(100_000);
    world.list.accept(5_000);
    let mut behind = world.feed(0);
    behind.fill().await.unwrap();
    let mut ahead = world.feed(4_990);
    assert_eq!(seqs(&take(&mut ahead, 5_000).await), (4_991..=5_000).collect::<Vec<_>>());
    assert!(world.list.reads() < 1_000, "{} were read", world.list.reads());
    assert_eq!(seqs(&take(&mut behind, 5_000).await), (1..=5_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn damaged_void_and_newer_records_reach_every_destination() {
    let world = World::new(1 << 20);
    let mut newer = event(&[], b"{}").encode().to_vec();
    newer[0] = 250;
    world.list.accept(1);
    world.list.push(Entry::Damaged { first: 2, last: 4 });
    world.list.push(Entry::Void { first: 5, last: 6 });
    world.list.push(Entry::Record { seq: 7, bytes: Bytes::from_static(b"\0junk junk") });
    world.list.push(Entry::Record { seq: 8, bytes: newer.into() });
    for after in [0, 3] {
        let mut feed = world.feed(after);
        let items = take(&mut feed, 8).await;
        let rest = &items[items.len() - 4..];
        assert!(matches!(rest[0], Item::Damaged { first: 2, last: 4 }), "{rest:?}");
        assert!(matches!(rest[1], Item::Void { first: 5, last: 6 }), "{rest:?}");
        assert!(matches!(rest[2], Item::Damaged { first: 7, last: 7 }), "{rest:?}");
        assert!(matches!(rest[3], Item::Newer { seq: 8, .. }), "{rest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn unreadable_bytes_are_given_up_after_five_tries_once_the_disk_works() {
    let world = World::new(1 << 20);
    world.list.accept(2);
    world.list.is_failing.store(true, Ordering::SeqCst);
    world.list.failures.store(TRIES + 3, Ordering::SeqCst);
    let mut feed = world.feed(0);
    let items = take(&mut feed, 2).await;
    assert!(
        matches!(items[0], Item::Event { seq: 1, .. }),
        "the disk is away, which says nothing: {items:?}"
    );

    world.list.accept(1);
    world.list.is_failing.store(false, Ordering::SeqCst);
    world.list.failures.store(TRIES, Ordering::SeqCst);
    let items = take(&mut feed, 3).await;
    assert!(matches!(items[0], Item::Damaged { first: 3, last: 3 }), "{items:?}");
}

#[tokio::test(start_paused = true)]
async fn reader_ends_with_the_last_that_could_ask() {
    let World { tail, triage, reader, list } = World::new(1 << 20);
    let mut feed = Feed::new(Arc::new(Shared(Arc::clone(&list))), triage, &tail, 0);
    assert!(feed.fill().now_or_never().is_none());
    drop((tail, feed));
    reader.await.unwrap();
}
