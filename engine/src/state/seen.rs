//! Which events were accepted already: the ids of deduplicating sources, in memory, and page by page in the file.
//!
//! An id is in its event's record in the journal, and here a while later; until a commit has it, the journal is not
//! freed. Between the two stands a reservation, so that an event that is sent again while the first is being
//! synced waits for it.

use std::collections::{HashMap, VecDeque};

use tokio::sync::watch;
use uuid::Uuid;

use super::Seq;
use super::limits::database_bytes;
use crate::event::Key;

/// Maximum number of remembered ids, whatever the size of the state file.
const MAX_IDS: usize = 1_000_000;
/// Ids of one row of the file.
const PAGE: usize = 1024;
/// Divisor of the database's size that gives the bytes for ids.
const SHARE: u64 = 8;
const COST: u64 = 48;
/// Size of an event on a page, in bytes.
const EVENT: usize = 16 + 16 + 8;

/// One event that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenEvent {
    /// Key of the event in its repeats.
    pub key: Key,
    /// Id of the event.
    pub event: Uuid,
    /// Time until which it is remembered, in milliseconds since the Unix epoch.
    pub until_ms: i64,
}

/// A row of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenPage {
    /// Key of the row.
    pub row: i64,
    /// Its events, at most as many as fit a row.
    pub events: Vec<SeenEvent>,
}

/// The changes that one transaction writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenBatch {
    /// Pages of ids that are written to the file.
    pub pages: Vec<SeenPage>,
    /// Keys of rows to delete.
    pub gone: Vec<i64>,
    /// Every id of the journal up to here is in the file, or was forgotten.
    pub through: Seq,
}

/// The answer to an event that is about to be appended.
#[derive(Debug)]
pub enum First {
    /// The event is the first of its key: append it, and then call [`Seen::complete`] with the outcome.
    Yes,
    /// The event was accepted before, with this id.
    No(Uuid),
    /// An event of the same key is being appended: ask again when this channel closes.
    Wait(watch::Receiver<()>),
}

/// The ids that are remembered.
#[derive(Debug)]
pub struct Seen {
    known: HashMap<Key, (Uuid, i64)>,
    /// Pages of the file and the page that is in a batch, oldest first.
    pages: VecDeque<Page>,
    /// Events that are in no batch yet, in no order.
    unsaved: Vec<SeenEvent>,
    /// Events that are being appended, each behind the sequence synced before it was.
    in_flight: HashMap<Key, (Seq, watch::Sender<()>)>,
    gone: Vec<i64>,
    next_row: i64,
    through: Seq,
    committed_through: Seq,
    max_len: usize,
    forgotten: u64,
}

#[derive(Debug)]
struct Page {
    row: i64,
    keys: Vec<Key>,
    until_ms: i64,
}

impl Seen {
    /// Makes the ids of the file, which has those of the journal up to `through`. `reserve` is the number of bytes that
    /// the state may use.
    pub fn open(mut pages: Vec<SeenPage>, through: Seq, reserve: u64) -> Self {
        let max_len = usize::try_from(database_bytes(reserve) / SHARE / COST).unwrap_or(MAX_IDS);
        let mut seen = Self {
            known: HashMap::new(),
            pages: VecDeque::new(),
            unsaved: Vec::new(),
            in_flight: HashMap::new(),
            gone: Vec::new(),
            next_row: pages.iter().map(|page| page.row).max().unwrap_or(0) + 1,
            through,
            committed_through: through,
            max_len: max_len.min(MAX_IDS),
            forgotten: 0,
        };
        pages.sort_unstable_by_key(|page| page.row);
        for page in pages {
            for event in &page.events {
                seen.known.insert(event.key, (event.event, event.until_ms));
            }
            seen.pages.push_back(Page::of(&page));
        }
        seen
    }

    /// Returns the sequence up to which the file has the journal's ids: the later ones are to be [`Seen::remember`]ed.
    pub fn kept_through(&self) -> Seq {
        self.committed_through
    }

    /// Remembers an event of the journal.
    pub fn remember(&mut self, event: SeenEvent) {
        if self.known.insert(event.key, (event.event, event.until_ms)).is_none() {
            self.unsaved.push(event);
        }
    }

    /// Returns whether an event is the first of its key. `synced` is a sequence that was synced before the event is
    /// appended.
    pub fn begin(&mut self, key: Key, now_ms: i64, synced: Seq) -> First {
        match self.known.get(&key) {
            Some((event, until_ms)) if *until_ms > now_ms => return First::No(*event),
            _ => {}
        }
        if let Some((_, done)) = self.in_flight.get(&key) {
            return First::Wait(done.subscribe());
        }
        self.in_flight.insert(key, (synced, watch::Sender::new(())));
        First::Yes
    }

    /// Records the outcome of an event that was the first: it was accepted and is remembered, or it was not.
    pub fn complete(&mut self, key: Key, accepted: Option<SeenEvent>) {
        if let Some(event) = accepted {
            self.known.insert(key, (event.event, event.until_ms));
            self.unsaved.push(event);
            self.forget(i64::MIN);
        }
        // Those who wait find it there, or are first themselves.
        self.in_flight.remove(&key);
    }

    /// Returns the ids to write, if the journal is synced up to `synced`. Hand it to [`Seen::committed`] or
    /// [`Seen::failed`].
    pub fn take_batch(&mut self, synced: Seq, now_ms: i64) -> SeenBatch {
        self.forget(now_ms);
        let floor = self.in_flight.values().map(|(floor, _)| *floor).fold(synced, Seq::min);
        self.through = self.through.max(floor);
        let mut batch =
            SeenBatch { gone: std::mem::take(&mut self.gone), through: self.through, ..SeenBatch::default() };
        for events in std::mem::take(&mut self.unsaved).chunks(PAGE) {
            let page = SeenPage { row: self.next_row, events: events.to_vec() };
            self.next_row += 1;
            self.pages.push_back(Page::of(&page));
            batch.pages.push(page);
        }
        batch
    }

    /// Records that the batch is in the file.
    pub fn committed(&mut self, batch: &SeenBatch) {
        self.committed_through = batch.through;
    }

    /// Records that the batch is not in the file: its ids are written with the next.
    pub fn failed(&mut self, batch: SeenBatch) {
        self.gone.extend(batch.gone);
        for page in batch.pages {
            // Unless it was forgotten meanwhile.
            if let Some(at) = self.pages.iter().rposition(|one| one.row == page.row) {
                self.pages.remove(at);
                self.unsaved.extend(page.events);
            }
        }
    }

    /// Returns the number of ids that are remembered.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Returns whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Returns the number of ids that were forgotten before their time, to make room.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Forgets pages whose time is over, and the oldest ids for which there is no room.
    fn forget(&mut self, now_ms: i64) {
        while let Some(page) = self.pages.front() {
            let is_over = page.until_ms <= now_ms;
            if !is_over && self.known.len() <= self.max_len {
                return;
            }
            let Some(page) = self.pages.pop_front() else { return };
            self.gone.push(page.row);
            let before = self.known.len();
            for key in &page.keys {
                // An id that came again after its time is on a later page too.
                if self.known.get(key).is_some_and(|(_, until_ms)| *until_ms <= page.until_ms) {
                    self.known.remove(key);
                }
            }
            if !is_over {
                self.forgotten += (before - self.known.len()) as u64;
            }
        }
        // Only while the file cannot be written is there nothing but these.
        if self.known.len() > self.max_len {
            for event in self.unsaved.drain(..PAGE.min(self.unsaved.len())) {
                self.forgotten += u64::from(self.known.remove(&event.key).is_some());
            }
        }
    }
}

impl SeenPage {
    /// Encodes key, event and time of each, one after the other.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.events.len() * EVENT);
        for event in &self.events {
            bytes.extend(event.key.0);
            bytes.extend(event.event.as_bytes());
            bytes.extend(event.until_ms.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`SeenPage::encode`] wrote.
    pub(super) fn decode(row: i64, bytes: &[u8]) -> Option<Self> {
        let (events, rest) = bytes.as_chunks::<EVENT>();
        let event = |bytes: &[u8; EVENT]| {
            let (key, rest) = bytes.split_first_chunk()?;
            let (event, until_ms) = rest.split_first_chunk()?;
            Some(SeenEvent {
                key: Key(*key),
                event: Uuid::from_bytes(*event),
                until_ms: i64::from_le_bytes(until_ms.try_into().ok()?),
            })
        };
        let events = events.iter().map(event).collect::<Option<_>>()?;
        rest.is_empty().then_some(Self { row, events })
    }
}

impl Page {
    fn of(page: &SeenPage) -> Self {
        Self {
            row: page.row,
            keys: page.events.iter().map(|event| event.key).collect(),
            until_ms: page.events.iter().map(|event| event.until_ms).max().unwrap_or(i64::MIN),
        }
    }
}

#[cfg(test)]
mod tests;
