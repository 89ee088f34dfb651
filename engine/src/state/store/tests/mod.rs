//! The state file on real files: the same after every reopening, whatever was committed.

mod damage;
mod removed;
mod space;

use std::collections::BTreeMap;
use std::fs;

use bytes::Bytes;
use sqlx::Row;
use tempfile::TempDir;

use super::*;
use crate::state::fake::{FakeJournal, postponed, record, wanted};
use crate::state::{
    Accepted, DeadLetter, Death, DestinationId, DestinationStatus, Ending, EventAt, Ledgers, Pause, Record,
    Repairs, Select, Seq, WaitingEvent, Wanted,
};

const OPTIONS: StoreOptions = StoreOptions { max_bytes: 1 << 30 };

fn death() -> Death {
    Death { attempts: 10, died_at_ms: 9_000, reason: "status 500".into() }
}

/// Everything that a destination's ledger shows, and the bytes of what it holds.
type Shown = (DestinationStatus, Vec<WaitingEvent>, Vec<DeadLetter>, BTreeMap<Seq, Bytes>);

/// A data folder, its ledgers and a journal beside them.
struct Spool {
    dir: TempDir,
    journal: FakeJournal,
    store: Store,
    ledgers: Ledgers,
    repairs: Repairs,
    set_aside: Option<PathBuf>,
}

impl Spool {
    async fn new(names: &[&str]) -> Self {
        let mut spool = Self::open(TempDir::new().unwrap(), FakeJournal::default()).await;
        spool.configure(names);
        spool.commit().await;
        spool
    }

    async fn open(dir: TempDir, journal: FakeJournal) -> Self {
        let (store, loaded) = Store::open(dir.path(), OPTIONS, 77).await.unwrap();
        let set_aside = loaded.set_aside.clone();
        let (ledgers, repairs) = Ledgers::open(loaded, OPTIONS.max_bytes, journal.oldest(), 0, &journal);
        Self { dir, journal, store, ledgers, repairs, set_aside }
    }

    /// Opens the files as after a crash: nothing is flushed or closed before.
    async fn reopen(self) -> Self {
        let Self { dir, journal, store, .. } = self;
        drop(store);
        Self::open(dir, journal).await
    }

    fn configure(&mut self, names: &[&str]) -> Vec<DestinationId> {
        let names: Vec<_> = names.iter().map(|name| wanted(name)).collect();
        self.ledgers.configure(&names, 0, &self.journal).ids
    }

    async fn commit(&mut self) {
        if let Some(batch) = self.ledgers.take_batch() {
            self.store.commit(&batch).await.unwrap();
            self.ledgers.committed(&batch);
        }
    }

    async fn shown(&self) -> Vec<Shown> {
        let mut all = Vec::new();
        for status in self.ledgers.snapshot(&self.journal) {
            assert!(status.adds_up(), "{status:?}");
            let ledger = self.ledgers.get(status.id).unwrap();
            let (waiting, dead): (Vec<_>, Vec<_>) =
                (ledger.waiting().collect(), ledger.dead_letters().collect());
            let mut bytes = BTreeMap::new();
            for seq in waiting.iter().map(|event| event.seq).chain(dead.iter().map(|event| event.seq)) {
                bytes.insert(seq, self.bytes(status.id, seq).await.unwrap());
            }
            all.push((DestinationStatus { oldest_pending_ms: None, ..status }, waiting, dead, bytes));
        }
        all
    }

    async fn bytes(&self, id: DestinationId, seq: Seq) -> Result<Bytes, EventError> {
        match self.ledgers.get(id).unwrap().event(seq).unwrap() {
            EventAt::Memory(bytes) => Ok(bytes),
            EventAt::Stored(at) => self.store.events().read(at).await,
        }
    }

    /// Reads all that is held, and counts what is damaged, as the dispatcher and the admin commands do.
    async fn read_all(&mut self) {
        for status in self.ledgers.snapshot(&self.journal) {
            let ledger = self.ledgers.get(status.id).unwrap();
            let waiting: Vec<_> = ledger.waiting().map(|event| event.seq).collect();
            let dead: Vec<_> = ledger.dead_letters().map(|event| event.seq).collect();
            for seq in waiting.iter().chain(&dead) {
                let read = self.bytes(status.id, *seq).await;
                let ledger = self.ledgers.get_mut(status.id).unwrap();
                match read {
                    Ok(bytes) => assert_eq!(bytes, record(*seq).bytes, "never an altered byte"),
                    Err(EventError::Damaged) => assert!(
                        ledger.finish_waiting(*seq, Ending::Damaged) || ledger.damaged_dead_letter(*seq)
                    ),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    fn file(&self) -> PathBuf {
        files::state(self.dir.path())
    }

    /// Returns the page with which a table begins.
    async fn root(&self, table: &str) -> usize {
        let row = sqlx::query("SELECT rootpage FROM sqlite_schema WHERE name = ?")
            .bind(table)
            .fetch_one(&mut self.store.writer.lock().await.connection)
            .await
            .unwrap();
        row.get::<i64, _>(0).try_into().unwrap()
    }

    fn sum(&self, name: &str) -> [u64; 6] {
        let status = self.ledgers.find(name).unwrap().status(&self.journal);
        assert!(status.adds_up(), "{status:?}");
        let DestinationStatus { accepted, delivered, dead_lettered, dropped, damaged, pending, .. } = status;
        [accepted, delivered, dead_lettered, dropped, damaged, pending]
    }
}

/// Makes a spool with two destinations. Each has events in every term.
async fn busy() -> Spool {
    let mut spool = Spool::new(&["archive", "pager"]).await;
    (0..40).for_each(|_| _ = spool.journal.push(true));
    for id in spool.configure(&["archive", "pager"]) {
        let ledger = spool.ledgers.get_mut(id).unwrap();
        for seq in 1..=10 {
            assert!(ledger.postpone_fresh(seq, record(seq), &postponed(1)).unwrap());
            assert!(ledger.dead_letter_fresh(seq + 10, record(seq + 10), &death()).unwrap());
            assert!(ledger.finish_fresh(seq + 20, Ending::Delivered));
        }
        ledger.finish_fresh(35, Ending::Dropped);
        ledger.damaged(37, 38);
    }
    spool.commit().await;
    spool
}

/// Moves everything from the write-ahead log to the file itself.
async fn folded(spool: Spool) -> (TempDir, FakeJournal) {
    let Spool { dir, journal, store, .. } = spool;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(&mut store.writer.lock().await.connection)
        .await
        .unwrap();
    store.close().await.unwrap();
    (dir, journal)
}

#[tokio::test]
async fn state_is_the_same_after_reopening_at_every_step() {
    type Step = fn(&mut Ledgers, DestinationId, &dyn Accepted);
    let steps: &[Step] = &[
        |ledgers, id, _| _ = ledgers.get_mut(id).unwrap().postpone_fresh(1, record(1), &postponed(1)),
        |ledgers, id, _| _ = ledgers.get_mut(id).unwrap().finish_fresh(3, Ending::Delivered),
        |ledgers, id, _| _ = ledgers.get_mut(id).unwrap().postpone_waiting(1, &postponed(2)),
        |ledgers, id, _| _ = ledgers.get_mut(id).unwrap().dead_letter_fresh(5, record(5), &death()),
        |ledgers, id, _| _ = ledgers.get_mut(id).unwrap().dead_letter_waiting(1, &death()),
        |ledgers, id, _| _ = ledgers.get_mut(id).unwrap().damaged(6, 8),
        |ledgers, id, _| _ = ledgers.get_mut(id).unwrap().redrive(Select::Seqs(&[1]), 5_000),
        |ledgers, id, _| ledgers.get_mut(id).unwrap().disable(),
        |ledgers, id, _| _ = ledgers.get_mut(id).unwrap().finish_waiting(1, Ending::Delivered),
        |ledgers, _, journal| _ = ledgers.configure(&[wanted("pager")], 0, journal),
        |ledgers, _, journal| _ = ledgers.configure(&[wanted("archive"), wanted("pager")], 0, journal),
        |ledgers, id, journal| _ = ledgers.get_mut(id).unwrap().discard(9, journal),
        |ledgers, id, _| _ = ledgers.get_mut(id).unwrap().discard_dead_letters(Select::All),
    ];
    let mut spool = Spool::new(&["archive", "pager"]).await;
    let id = spool.ledgers.find("archive").unwrap().id();
    (0..12).for_each(|_| _ = spool.journal.push(true));
    for (number, step) in steps.iter().enumerate() {
        step(&mut spool.ledgers, id, &spool.journal);
        let unsaved = spool.shown().await;
        spool.commit().await;
        assert_eq!(spool.shown().await, unsaved, "step {number}");
        spool = spool.reopen().await;
        assert_eq!((spool.shown().await, &spool.repairs), (unsaved, &Repairs::default()), "step {number}");
    }
}

#[tokio::test]
async fn changes_that_were_not_committed_did_not_happen() {
    let mut spool = busy().await;
    let before = spool.shown().await;
    let id = spool.ledgers.find("archive").unwrap().id();
    spool.ledgers.get_mut(id).unwrap().finish_waiting(1, Ending::Delivered);
    assert_ne!(spool.shown().await, before);
    assert_eq!(spool.reopen().await.shown().await, before);
}

#[tokio::test]
async fn destination_that_a_kept_file_does_not_know_is_new() {
    let mut spool = Spool::new(&["archive"]).await;
    (0..9).for_each(|_| _ = spool.journal.push(true));
    let mut spool = spool.reopen().await;
    spool.configure(&["archive", "pager"]);
    assert_eq!((spool.sum("archive"), spool.sum("pager")), ([9, 0, 0, 0, 0, 9], [0; 6]));
}

#[tokio::test]
async fn destination_is_left_alone_after_reopening_until_it_is_another_target() {
    let mut spool = Spool::new(&["archive", "pager"]).await;
    let ids = spool.configure(&["archive", "pager"]);
    let pauses = |spool: &Spool| [0, 1].map(|at| spool.ledgers.get(ids[at]).unwrap().pause());
    let asked = [90_000, 60_000].map(|until_ms| Some(Pause { until_ms, for_ms: 5_000 }));
    for (id, pause) in ids.iter().zip(asked) {
        spool.ledgers.get_mut(*id).unwrap().set_pause(pause);
    }
    spool.commit().await;
    let mut spool = spool.reopen().await;
    assert_eq!(pauses(&spool), asked);

    spool.ledgers.get_mut(ids[1]).unwrap().set_pause(None);
    spool.commit().await;
    let mut spool = spool.reopen().await;
    spool.configure(&["archive", "pager"]);
    assert_eq!(pauses(&spool), [asked[0], None]);

    let moved = Wanted { fingerprint: "elsewhere".into(), ..wanted("archive") };
    spool.ledgers.configure(&[moved, wanted("pager")], 0, &spool.journal);
    assert_eq!(pauses(&spool), [None, None]);
}

#[tokio::test]
async fn newer_schema_is_refused_by_name() {
    let spool = busy().await;
    let crc = checksum::meta_crc("schema", 9);
    sqlx::query("UPDATE meta SET value = 9, crc = ? WHERE key = 'schema'")
        .bind(crc)
        .execute(&mut spool.store.writer.lock().await.connection)
        .await
        .unwrap();
    let error = Store::open(spool.dir.path(), OPTIONS, 0).await.unwrap_err();
    assert_eq!(error.to_string(), "state file has schema 9, this version knows up to 2");
    assert!(spool.file().exists());
}
