//! The fresh events of one destination, read ahead from the journal a chunk at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tracing::{error, warn};

use super::event_log::{EventLog, LogReader};
use crate::event::Event;
use crate::journal::{self, Entry, Position, ReadError, Seq};

/// Entries taken from the reader at a time: enough to hide the hop to a blocking thread, little to hold.
const ENTRIES_PER_READ: usize = 256;
/// Bytes after which a read ends early, so that large events do not use more memory.
const BYTES_PER_READ: usize = 256 * 1024;

/// Wait between a failed read of the journal and the next one.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// An entry of the journal, decoded.
pub(super) enum Item {
    Event {
        seq: Seq,
        /// Bytes of the record in the journal.
        record: Bytes,
        event: Event,
    },
    /// An event that only a later version of Visnyk can read, and why.
    Newer { seq: Seq, reason: String },
    /// Events that cannot be read.
    Damaged { first: Seq, last: Seq },
    /// Sequences that are no events.
    Void { first: Seq, last: Seq },
}

type Read = (Box<dyn LogReader>, Vec<Item>, Option<ReadError>);

/// The events that are read and not started, and the reader of more.
pub(super) struct Feed {
    items: VecDeque<Item>,
    read_state: ReadState,
    log: Arc<dyn EventLog>,
    watermark: watch::Receiver<Seq>,
    /// Reads in a row that failed at the same place, and when to try the next.
    failing: Option<(u32, Instant)>,
    /// The last sequence that was read.
    read_to: Seq,
    position: Position,
}

enum ReadState {
    Idle(Box<dyn LogReader>),
    Reading(JoinHandle<Read>),
    /// No reader, while a read begins.
    Moving,
}

impl Feed {
    /// Makes a feed whose first entry is the one after `after`.
    pub fn new(log: Arc<dyn EventLog>, after: Seq) -> Self {
        let (reader, watermark) = (log.reader(after), log.watch_watermark());
        let position = reader.position();
        Self {
            items: VecDeque::new(),
            read_state: ReadState::Idle(reader),
            log,
            watermark,
            failing: None,
            read_to: after,
            position,
        }
    }

    pub fn front(&self) -> Option<&Item> {
        self.items.front()
    }

    pub fn pop(&mut self) -> Option<Item> {
        self.items.pop_front()
    }

    /// Returns the reader's position: after everything that [`Feed::front`] will show before the next [`Feed::fill`].
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Returns the number of bytes of records that are read but not started.
    pub fn buffered_bytes(&self) -> u64 {
        self.items.iter().map(|entry| record_len(entry) as u64).sum()
    }

    /// Waits until there is more to read, and reads it. Pending for ever while some is still there. After an error it
    /// waits a moment before it reads again, and after several at the same place it does without the bytes that
    /// cannot be read: then exactly their records are damaged.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: a read under way is picked up by the next call.
    pub async fn fill(&mut self) -> Result<(), ReadError> {
        if !self.items.is_empty() {
            std::future::pending::<()>().await;
        }
        if let Some((_, again_at)) = self.failing {
            sleep_until(again_at).await;
        }
        self.begin_read().await;
        let ReadState::Reading(handle) = &mut self.read_state else { return std::future::pending().await };
        let (reader, items, error) = match handle.await {
            Ok(read) => read,
            Err(error) => match error.try_into_panic() {
                // A reader that panicked is lost; the loop that fed on it must not go on as if nothing came.
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends, and this loop with it.
                Err(_) => return std::future::pending().await,
            },
        };
        self.position = reader.position();
        self.read_state = ReadState::Idle(reader);
        if let Some(last) = items.last() {
            self.read_to = last_seq(last);
        }
        self.failing = error.as_ref().map(|_| {
            let before = self.failing.filter(|_| items.is_empty()).map_or(0, |(tries, _)| tries);
            (before.saturating_add(1), Instant::now() + READ_AGAIN_AFTER)
        });
        self.items.extend(items);
        error.map_or(Ok(()), Err)
    }

    /// Returns whether the failed read was tried often enough. While the disk accepts no writes either, the disk is not
    /// there, which says nothing about the records on it.
    fn gives_up(&self) -> bool {
        self.failing.is_some_and(|(tries, _)| tries >= journal::TRIES) && !self.log.is_failing()
    }

    async fn begin_read(&mut self) {
        if !matches!(self.read_state, ReadState::Idle(_)) {
            return;
        }
        let read_to = self.read_to;
        if self.watermark.wait_for(|synced| *synced > read_to).await.is_err() {
            // The journal is closed: nothing more will ever come.
            std::future::pending::<()>().await;
        }
        if let ReadState::Idle(reader) = std::mem::replace(&mut self.read_state, ReadState::Moving) {
            let gives_up = self.gives_up();
            self.read_state =
                ReadState::Reading(tokio::task::spawn_blocking(move || read_chunk(reader, gives_up)));
        }
    }
}

fn read_chunk(mut reader: Box<dyn LogReader>, gives_up: bool) -> Read {
    if gives_up && reader.give_up() {
        warn!(
            after = reader.position().after,
            "bytes of the journal cannot be read, their records are damaged"
        );
    }
    let mut items = Vec::new();
    let mut bytes = 0;
    while items.len() < ENTRIES_PER_READ && bytes < BYTES_PER_READ {
        match reader.next() {
            Ok(Some(entry)) => {
                let item = item(entry);
                bytes += record_len(&item);
                items.push(item);
            }
            Ok(None) => break,
            Err(error) => return (reader, items, Some(error)),
        }
    }
    (reader, items, None)
}

fn item(entry: Entry) -> Item {
    match entry {
        Entry::Damaged { first, last } => Item::Damaged { first, last },
        Entry::Void { first, last } => Item::Void { first, last },
        Entry::Record { seq, bytes } => match Event::decode(&bytes) {
            Ok(event) => Item::Event { seq, record: bytes, event },
            Err(error) if error.is_newer() => Item::Newer { seq, reason: error.to_string() },
            Err(error) => {
                error!(seq, %error, "journalled event cannot be read");
                Item::Damaged { first: seq, last: seq }
            }
        },
    }
}

fn record_len(item: &Item) -> usize {
    match item {
        Item::Event { record, .. } => record.len(),
        Item::Newer { .. } | Item::Damaged { .. } | Item::Void { .. } => 0,
    }
}

fn last_seq(item: &Item) -> Seq {
    match item {
        Item::Event { seq, .. } | Item::Newer { seq, .. } => *seq,
        Item::Damaged { last, .. } | Item::Void { last, .. } => *last,
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::runtime::Builder;

    use super::*;
    use crate::journal::{Folder, Journal, Options};

    #[tokio::test]
    async fn read_that_the_end_of_the_runtime_cancels_is_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { segment_size: 16 << 10, max_size: 64 << 10, min_next_seq: 1 };
        let disk = Arc::new(Folder::open(folder.path()).unwrap());
        let (journal, _) = Journal::open(disk, &options, || ()).unwrap();
        journal.append("record".into()).await.unwrap();
        let mut feed = Feed::new(Arc::new(journal.clone()), 0);
        let runtime = Builder::new_current_thread().build().unwrap();
        let ended = runtime.handle().clone();
        runtime.shutdown_background();
        let _within = ended.enter();
        assert!(feed.fill().now_or_never().is_none());
        assert!(matches!(feed.read_state, ReadState::Reading(_)), "it was read");
    }
}
