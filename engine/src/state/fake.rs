//! For tests: a journal that is a list, and a state file that is a map.

use std::cell::Cell;
use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    Accepted, Batch, DestinationRow, HeldRow, Ledgers, Loaded, Postponed, Record, Repairs, Seq, Wanted,
    Window,
};

/// Sequences from 1 on: events and voids.
#[derive(Clone, Debug, Default)]
pub struct FakeJournal {
    events: Vec<bool>,
    oldest: Cell<Seq>,
}

impl FakeJournal {
    pub fn with_events(count: usize) -> Self {
        Self { events: vec![true; count], oldest: Cell::new(1) }
    }

    pub fn push(&mut self, is_event: bool) -> Seq {
        self.events.push(is_event);
        self.watermark()
    }

    pub fn oldest(&self) -> Seq {
        self.oldest.get().max(1)
    }

    pub fn free_through(&self, seq: Seq) {
        self.oldest.set(self.oldest().max(seq.min(self.watermark()) + 1));
    }

    pub fn is_event(&self, seq: Seq) -> bool {
        usize::try_from(seq - 1).is_ok_and(|index| self.events[index])
    }
}

impl Accepted for FakeJournal {
    fn watermark(&self) -> Seq {
        self.events.len() as u64
    }

    fn accepted_through(&self, seq: Seq) -> u64 {
        assert!(seq + 1 >= self.oldest(), "the journal has forgotten {seq}");
        (1..=seq).filter(|seq| self.is_event(*seq)).count() as u64
    }
}

/// The sum of the committed batches.
#[derive(Clone, Debug, Default)]
pub struct FakeFile {
    pub committed: bool,
    pub destinations: Vec<DestinationRow>,
    pub held: BTreeMap<i64, HeldRow>,
}

impl FakeFile {
    pub fn apply(&mut self, batch: &Batch) {
        self.committed = true;
        for row in &batch.gone {
            self.held.remove(row);
        }
        self.destinations.clone_from(&batch.destinations);
        for row in &batch.held {
            let before = self.held.get(&row.row).and_then(|before| before.record.clone());
            let record = row.record.clone().or(before);
            assert!(record.is_some(), "a row without its record");
            self.held.insert(row.row, HeldRow { record, ..row.clone() });
        }
    }

    pub fn load(&self) -> Loaded {
        Loaded {
            fresh: !self.committed,
            held_forgotten: !self.committed,
            destinations: self
                .destinations
                .iter()
                .map(|row| (row.clone(), Window::decode(row.cursor, &row.window).unwrap()))
                .collect(),
            held: self.held.values().map(|row| HeldRow { record: None, ..row.clone() }).collect(),
            ..Loaded::default()
        }
    }

    pub fn open(&self, journal: &FakeJournal) -> (Ledgers, Repairs) {
        Ledgers::open(self.load(), RESERVE, journal.oldest(), 0, journal)
    }

    /// Takes and applies a batch, and lets the journal free what it may.
    pub fn commit(&mut self, ledgers: &mut Ledgers, journal: &FakeJournal) {
        if let Some(batch) = ledgers.take_batch() {
            self.apply(&batch);
            if let Some(cursor) = ledgers.committed(&batch) {
                journal.free_through(cursor);
            }
        }
    }
}

pub const RESERVE: u64 = 1 << 30;

pub fn wanted(name: &str) -> Wanted {
    Wanted { name: name.into(), fingerprint: format!("https://{name}.example.org") }
}

/// Returns the bytes that stand for the event of this sequence.
pub fn record(seq: Seq) -> Record {
    Record { bytes: Bytes::from(format!("event {seq}")), received_at_ms: seq.cast_signed() * 1000 }
}

pub fn postponed(attempts: u32) -> Postponed {
    Postponed { attempts, due_at_ms: 5_000, delay_ms: 5_000, last_error: "status 500".into() }
}
