//! Journal and state together: random lists of what can happen to both, against the plain list of what was
//! acknowledged and what each destination was sent.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::journal::sim::{Operation, SimDisk};
use crate::journal::{Entry, Log, Options, Reader, View};
use crate::state::{
    Accepted, Admission, Death, DestinationId, Ending, EventAt, Ledgers, Lifecycle, Postponed, Record,
    Select, Seq, Store, StoreOptions, Wanted,
};
use crate::test_effort::cases;

const SEGMENT: u64 = 16 << 10;
const DESTINATIONS: [&str; 2] = ["archive", "pager"];

#[derive(Clone, Debug)]
enum Action {
    Append { records: usize },
    Begin { destination: usize, events: usize, outcome: Outcome },
    Retry { destination: usize, outcome: Outcome },
    Redrive { destination: usize },
    Commit,
    CommitFails,
    SyncFails,
    Kill,
    CutPower { seed: u64 },
    CutPowerDuringAppend { operations: u64, seed: u64 },
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Delivered,
    Postponed,
    Dead,
}

fn action() -> impl Strategy<Value = Action> {
    let outcome = || prop_oneof![4 => Just(Outcome::Delivered), 2 => Just(Outcome::Postponed), 1 => Just(Outcome::Dead)];
    let destination = 0..DESTINATIONS.len();
    prop_oneof![
        8 => (1..8_usize).prop_map(|records| Action::Append { records }),
        8 => (destination.clone(), 1..6_usize, outcome())
            .prop_map(|(destination, events, outcome)| Action::Begin { destination, events, outcome }),
        4 => (destination.clone(), outcome()).prop_map(|(destination, outcome)| Action::Retry { destination, outcome }),
        1 => destination.prop_map(|destination| Action::Redrive { destination }),
        4 => Just(Action::Commit),
        1 => Just(Action::CommitFails),
        1 => Just(Action::SyncFails),
        1 => Just(Action::Kill),
        1 => any::<u64>().prop_map(|seed| Action::CutPower { seed }),
        1 => (0..6_u64, any::<u64>()).prop_map(|(operations, seed)| Action::CutPowerDuringAppend { operations, seed }),
    ]
}

struct World {
    runtime: Runtime,
    folder: TempDir,
    disk: SimDisk,
    log: Log,
    store: Store,
    ledgers: Ledgers,
    ids: Vec<DestinationId>,
    readers: Vec<Reader>,
    /// Acknowledged records, by number.
    acknowledged: BTreeMap<u64, Bytes>,
    appended: u64,
    /// Number of deliveries of each record, by destination.
    sent: Vec<BTreeMap<u64, u32>>,
    /// Set once anything may be repeated, because something was forgotten.
    forgot: bool,
}

struct Now(View);

impl Accepted for Now {
    fn watermark(&self) -> Seq {
        self.0.watermark()
    }

    fn accepted_through(&self, seq: Seq) -> u64 {
        self.0.accepted_through(seq)
    }
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Memory, where there is some to mount: SQLite syncs, and here it is not its syncs that are tested.
        let shm = Path::new("/dev/shm");
        let folder = if shm.is_dir() { TempDir::new_in(shm) } else { TempDir::new() }.unwrap();
        let disk = SimDisk::new();
        let (log, store, ledgers) = runtime.block_on(open(&disk, folder.path()));
        let mut world = Self {
            runtime,
            folder,
            disk,
            log,
            store,
            ledgers,
            ids: Vec::new(),
            readers: Vec::new(),
            acknowledged: BTreeMap::new(),
            appended: 0,
            sent: vec![BTreeMap::new(); DESTINATIONS.len()],
            forgot: false,
        };
        world.configure();
        world
    }

    fn journal(&self) -> Now {
        Now(self.log.view().clone())
    }

    /// As after each start: cursors are committed before anything is accepted.
    fn configure(&mut self) {
        let wanted = DESTINATIONS.map(|name| Wanted { name: name.into(), fingerprint: name.into() });
        let journal = self.journal();
        self.ids = self.ledgers.configure(&wanted, 0, &journal).ids;
        self.commit();
        let after = |id: &DestinationId| self.ledgers.get(*id).unwrap().read_from();
        self.readers = self.ids.iter().map(|id| self.log.view().reader(after(id))).collect();
    }

    fn commit(&mut self) {
        let Some(batch) = self.ledgers.take_batch() else { return };
        self.runtime.block_on(self.store.commit(&batch)).unwrap();
        if let Some(through) = self.ledgers.committed(&batch) {
            self.log.view().free_through(through);
            self.log.view().tidy();
        }
    }

    fn reopen(&mut self) {
        self.disk.heal();
        self.forgot = true;
        (self.log, self.store, self.ledgers) = self.runtime.block_on(open(&self.disk, self.folder.path()));
        self.configure();
    }

    fn append(&mut self, records: usize) {
        let numbers: Vec<u64> = (self.appended..).take(records).collect();
        self.appended += records as u64;
        let batch: Vec<Bytes> = numbers.iter().map(|number| record(*number)).collect();
        let accepted = self.log.append_batch(&batch).accepted;
        self.acknowledged.extend(numbers.into_iter().zip(batch).take(accepted));
    }

    /// Reads the next events of a destination, and ends each as the outcome says.
    fn begin(&mut self, destination: usize, events: usize, outcome: Outcome) {
        self.disk.heal();
        let id = self.ids[destination];
        for _ in 0..events {
            let Some(entry) = self.readers[destination].next().unwrap() else { return };
            let ledger = self.ledgers.get_mut(id).unwrap();
            match entry {
                Entry::Damaged { first, last } => {
                    panic!("{first} to {last} are damaged, and nothing did that")
                }
                Entry::Void { first, last } => ledger.void(first, last),
                Entry::Record { seq, bytes } => match ledger.begin(seq, 0) {
                    Admission::AlreadyFinished => {}
                    Admission::WindowFull => unreachable!("events end as they come"),
                    Admission::Yes => {
                        let record = Record { bytes: bytes.clone(), received_at_ms: 0 };
                        match outcome {
                            Outcome::Delivered => {
                                assert!(ledger.finish_fresh(seq, Ending::Delivered));
                                note(&mut self.sent[destination], &bytes);
                            }
                            Outcome::Postponed => {
                                assert!(ledger.postpone_fresh(seq, record, &postponed()).unwrap());
                            }
                            Outcome::Dead => {
                                assert!(ledger.dead_letter_fresh(seq, record, &death()).unwrap());
                            }
                        }
                    }
                },
            }
        }
    }

    /// Tries the oldest waiting event of a destination; false if none waits.
    fn retry(&mut self, destination: usize, outcome: Outcome) -> bool {
        let id = self.ids[destination];
        let ledger = self.ledgers.get_mut(id).unwrap();
        let Some(waiting) = ledger.waiting().next() else { return false };
        let bytes = match ledger.event(waiting.seq).unwrap() {
            EventAt::Memory(bytes) => bytes,
            EventAt::Stored(at) => self.runtime.block_on(self.store.events().read(at)).unwrap(),
        };
        match outcome {
            Outcome::Delivered => {
                assert!(ledger.finish_waiting(waiting.seq, Ending::Delivered));
                note(&mut self.sent[destination], &bytes);
            }
            Outcome::Postponed => assert!(ledger.postpone_waiting(waiting.seq, &postponed())),
            Outcome::Dead => assert!(ledger.dead_letter_waiting(waiting.seq, &death()).unwrap()),
        }
        true
    }

    fn redrive(&mut self, destination: usize) {
        let redriven = self.ledgers.get_mut(self.ids[destination]).unwrap().redrive(Select::All, 0);
        assert_eq!(redriven.no_room, 0);
    }

    fn apply(&mut self, action: &Action) {
        match *action {
            Action::Append { records } => self.append(records),
            Action::Begin { destination, events, outcome } => self.begin(destination, events, outcome),
            Action::Retry { destination, outcome } => {
                self.retry(destination, outcome);
            }
            Action::Redrive { destination } => self.redrive(destination),
            Action::Commit => self.commit(),
            Action::CommitFails => {
                if let Some(batch) = self.ledgers.take_batch() {
                    self.ledgers.failed(batch);
                }
            }
            Action::SyncFails => self.disk.fail(Operation::Sync, 0, 1, ErrorKind::Other),
            Action::Kill => self.reopen(),
            Action::CutPower { seed } => self.cut_power(seed),
            Action::CutPowerDuringAppend { operations, seed } => {
                self.disk.power_off_after(operations);
                self.append(3);
                self.cut_power(seed);
            }
        }
        self.assert_adds_up();
    }

    fn cut_power(&mut self, seed: u64) {
        self.disk = self.disk.after_power_cut(&mut StdRng::seed_from_u64(seed));
        self.reopen();
    }

    fn assert_adds_up(&self) {
        for status in self.ledgers.snapshot(&self.journal()) {
            assert!(status.adds_up(), "{status:?}");
            assert_eq!(
                (status.damaged, status.dropped, status.lifecycle),
                (0, 0, Lifecycle::Active),
                "{status:?}"
            );
        }
    }

    /// Delivers all that is left, then holds the ledgers of both ends against each other.
    fn assert_nothing_vanished(&mut self) {
        for (destination, name) in DESTINATIONS.iter().enumerate() {
            self.begin(destination, usize::MAX, Outcome::Delivered);
            self.redrive(destination);
            while self.retry(destination, Outcome::Delivered) {}
            for (number, bytes) in &self.acknowledged {
                let times = self.sent[destination].get(number).copied().unwrap_or(0);
                assert!(times > 0, "{name} never got record {number} of {} bytes", bytes.len());
                assert!(times == 1 || self.forgot, "record {number} was sent {times} times");
            }
        }
        self.assert_adds_up();
        for status in self.ledgers.snapshot(&self.journal()) {
            assert_eq!((status.pending, status.dead_lettered), (0, 0), "{status:?}");
        }
    }
}

async fn open(disk: &SimDisk, folder: &Path) -> (Log, Store, Ledgers) {
    let max_bytes = 64 << 20;
    let (store, loaded) = Store::open(folder, StoreOptions { max_bytes }, 0).await.unwrap();
    let options =
        Options { segment_size: SEGMENT, max_size: 64 * SEGMENT, min_next_seq: loaded.max_seq() + 1 };
    let (log, recovery) = Log::open(Arc::new(disk.clone()), &options).unwrap();
    let (ledgers, repairs) =
        Ledgers::open(loaded, max_bytes, recovery.oldest_seq, 0, &Now(log.view().clone()));
    assert_eq!((repairs.restarted, repairs.damaged), (vec![], vec![]));
    (log, store, ledgers)
}

/// A record that says its number; of different lengths, so that segments end anywhere.
fn record(number: u64) -> Bytes {
    let len = 8 + usize::try_from(number * 397 % 1_500).unwrap();
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(len, 0xa5);
    bytes.into()
}

fn note(sent: &mut BTreeMap<u64, u32>, bytes: &Bytes) {
    let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    assert_eq!(*bytes, record(number), "record {number} has other bytes");
    *sent.entry(number).or_default() += 1;
}

fn postponed() -> Postponed {
    Postponed { attempts: 1, due_at_ms: 0, delay_ms: 0, last_error: "answered 500".into() }
}

fn death() -> Death {
    Death { attempts: 10, died_at_ms: 0, reason: "answered 500".into() }
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn whatever_happens_every_acknowledged_event_reaches_every_destination(
        actions in prop::collection::vec(action(), 1..50),
    ) {
        let mut world = World::new();
        for action in &actions {
            world.apply(action);
        }
        world.assert_nothing_vanished();
    }
}
