//! Some entries of the journal at a time, read on a thread that may wait for the disk.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::desk::Triage;
use super::event_log::{EventLog, LogReader};
use super::item::Item;
use crate::journal::{self, Position, ReadError, Seq};

/// Maximum number of entries of a chunk: enough to hide the hop to a blocking thread, little to hold.
const MAX_ENTRIES: usize = 256;
/// Bytes of records after which a chunk ends early, so that large events do not pile up.
const MAX_BYTES: usize = 256 * 1024;

/// Time between a read of the journal that failed and the next.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Entries of the journal in a row.
#[derive(Debug)]
pub struct Chunk {
    /// The sequence before the first entry.
    pub after: Seq,
    /// The entries, at least one.
    pub items: Vec<Item>,
    /// Position in the journal behind the last entry.
    pub position: Position,
}

impl Chunk {
    /// Returns the last sequence of its entries.
    pub fn last(&self) -> Seq {
        self.items.last().map_or(self.after, Item::last_seq)
    }
}

/// A position in the journal from which chunks are read.
pub struct ChunkReader {
    log: Arc<dyn EventLog>,
    triage: Arc<Triage>,
    /// It decides about events that are not decided yet.
    decides: bool,
    state: State,
    read_to: Seq,
    /// Number of reads in a row that failed at the same place, and the time of the next.
    failing: Option<(u32, Instant)>,
}

enum State {
    Idle(Box<dyn LogReader>),
    Reading(JoinHandle<Read>),
    /// State while a read begins.
    Moving,
}

/// The reader, the entries that it read, and the error that ended this.
type Read = (Box<dyn LogReader>, Vec<Item>, Option<ChunkError>);

/// The reason for which no chunk can be had.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] ReadError),
    /// The decisions about its events can be neither read nor written.
    #[error("decision files cannot be used")]
    Decisions(#[source] io::Error),
}

impl ChunkReader {
    /// Makes a reader of everything after `after`, which is decided.
    pub fn new(log: Arc<dyn EventLog>, triage: Arc<Triage>, after: Seq) -> Self {
        let state = State::Idle(log.reader(after));
        Self { log, triage, decides: false, state, read_to: after, failing: None }
    }

    /// Makes it decide about the events that it reads.
    pub(super) fn deciding(self) -> Self {
        Self { decides: true, ..self }
    }

    /// Returns the last sequence that was read.
    pub fn read_to(&self) -> Seq {
        self.read_to
    }

    /// Reads the next chunk, up to about the sequence `through`, which the journal has synced. After an error the next
    /// call waits a second before it reads again, and after five at the same place it does without the bytes that cannot
    /// be read: then exactly their records are damaged.
    ///
    /// # Errors
    /// The journal or the decisions cannot be read or written, and no entry was handed out.
    ///
    /// # Cancel safety
    /// Nothing is lost: a read under way is picked up by the next call.
    pub async fn next(&mut self, through: Seq) -> Result<Chunk, ChunkError> {
        loop {
            if let Some((_, again_at)) = self.failing {
                sleep_until(again_at).await;
            }
            self.begin(through);
            let State::Reading(handle) = &mut self.state else { return std::future::pending().await };
            let (reader, items, error) = match handle.await {
                Ok(read) => read,
                Err(error) => match error.try_into_panic() {
                    // A reader that panicked is lost; the loop that reads by it must not go on as if nothing came.
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The runtime ends, and this loop with it.
                    Err(_) => return std::future::pending().await,
                },
            };
            let position = reader.position();
            self.state = State::Idle(reader);
            self.failing = error.as_ref().map(|_| {
                let before = self.failing.filter(|_| items.is_empty()).map_or(0, |(tries, _)| tries);
                (before.saturating_add(1), Instant::now() + READ_AGAIN_AFTER)
            });
            if !items.is_empty() {
                let chunk = Chunk { after: self.read_to, items, position };
                self.read_to = chunk.last();
                return Ok(chunk);
            }
            if let Some(error) = error {
                return Err(error);
            }
        }
    }

    fn begin(&mut self, through: Seq) {
        if !matches!(self.state, State::Idle(_)) {
            return;
        }
        if let State::Idle(reader) = std::mem::replace(&mut self.state, State::Moving) {
            let (gives_up, read_to, decides) = (self.gives_up(), self.read_to, self.decides);
            let triage = Arc::clone(&self.triage);
            let log = Arc::clone(&self.log);
            let read = move || {
                let (reader, mut items, error) = read(reader, read_to, through, gives_up);
                let told =
                    if decides { triage.decide(&mut items) } else { triage.look_up(&mut items, gives_up) };
                match told {
                    Ok(()) => (reader, items, error),
                    // None of them may be handed out: they are read again.
                    Err(error) => (log.reader(read_to), vec![], Some(ChunkError::Decisions(error))),
                }
            };
            self.state = State::Reading(tokio::task::spawn_blocking(read));
        }
    }

    /// Returns whether the failed read was tried often enough. While the disk accepts no writes either, the disk is not
    /// there, which says nothing about the records on it.
    fn gives_up(&self) -> bool {
        self.failing.is_some_and(|(tries, _)| tries >= journal::TRIES) && !self.log.is_failing()
    }
}

fn read(mut reader: Box<dyn LogReader>, mut read_to: Seq, through: Seq, gives_up: bool) -> Read {
    if gives_up && reader.give_up() {
        warn!(after = read_to, "bytes of the journal cannot be read, their records are damaged");
    }
    let mut items = Vec::new();
    let mut bytes = 0;
    while read_to < through && items.len() < MAX_ENTRIES && bytes < MAX_BYTES {
        match reader.next() {
            Ok(Some(entry)) => {
                let item = Item::decode(entry);
                bytes += item.record_len();
                read_to = item.last_seq();
                items.push(item);
            }
            Ok(None) => break,
            Err(error) => return (reader, items, Some(error.into())),
        }
    }
    (reader, items, None)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::runtime::Builder;
    use uuid::Uuid;

    use super::*;
    use crate::event::{Envelope, Event};
    use crate::journal::disk::Disk;
    use crate::journal::sim::SimDisk;
    use crate::journal::{Folder, Journal, Options};
    use crate::triage::testing;

    #[tokio::test(start_paused = true)]
    async fn page_that_is_back_after_some_tries_damages_no_event() {
        let disk = SimDisk::new();
        let options = Options { segment_size: 16 << 10, max_size: 64 << 10, min_next_seq: 1 };
        let (journal, _) = Journal::open(Arc::new(disk.clone()), &options, || ()).unwrap();
        let envelope = Envelope {
            id: Uuid::from_u128(7),
            received_at_ms: 0,
            steady_ms: 0,
            source: "network".into(),
            target: "/".into(),
            headers: Vec::new(),
            attributes: Box::default(),
        };
        journal.append(Event { envelope, body: "hello".into() }.encode()).await.unwrap();
        // The page behind the header; a try reads it twice: with others, and alone.
        disk.list().unwrap().iter().for_each(|name| disk.lose_page_for(name, 2, 6));
        let mut reader = ChunkReader::new(Arc::new(journal.clone()), testing::without_rules(), 0);
        for _ in 0..3 {
            reader.next(1).await.unwrap_err();
        }
        let chunk = reader.next(1).await.unwrap();
        assert!(matches!(&chunk.items[..], [Item::Event { .. }]), "{:?}", chunk.items);
    }

    #[tokio::test]
    async fn read_that_the_end_of_the_runtime_cancels_is_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { segment_size: 16 << 10, max_size: 64 << 10, min_next_seq: 1 };
        let disk = Arc::new(Folder::open(folder.path()).unwrap());
        let (journal, _) = Journal::open(disk, &options, || ()).unwrap();
        journal.append("record".into()).await.unwrap();
        let mut reader = ChunkReader::new(Arc::new(journal.clone()), testing::without_rules(), 0);
        let runtime = Builder::new_current_thread().build().unwrap();
        let ended = runtime.handle().clone();
        runtime.shutdown_background();
        let _within = ended.enter();
        assert!(reader.next(1).now_or_never().is_none());
        assert!(matches!(reader.state, State::Reading(_)), "it was read");
    }
}
