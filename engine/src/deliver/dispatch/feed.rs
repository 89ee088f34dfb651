//! The fresh events of one destination: from the memory of the one reader while the destination keeps up, and else read
//! ahead from the journal, a chunk at a time.

use std::sync::Arc;

use crate::journal::{Position, Seq};
use crate::triage::{Chunk, ChunkError, ChunkReader, EventLog, Follower, Item, Next, Tail, Triage};

/// The events that are read and not started, and the way to more.
pub(super) struct Feed {
    log: Arc<dyn EventLog>,
    triage: Arc<Triage>,
    follower: Follower,
    /// Reader of a destination that lags.
    own: Option<ChunkReader>,
    chunk: Option<Arc<Chunk>>,
    /// Index of the front in the chunk.
    at: usize,
    /// The last sequence of the chunk.
    read_to: Seq,
    position: Position,
}

impl Feed {
    /// Makes a feed whose first entry is the one after `after`.
    pub fn new(log: Arc<dyn EventLog>, triage: Arc<Triage>, tail: &Arc<Tail>, after: Seq) -> Self {
        let (position, follower) = (log.reader(after).position(), tail.follow(after));
        Self { log, triage, follower, own: None, chunk: None, at: 0, read_to: after, position }
    }

    /// Returns an entry by its distance from the front, if it is read.
    pub fn get(&self, index: usize) -> Option<&Item> {
        self.chunk.as_ref()?.items.get(self.at + index)
    }

    pub fn pop(&mut self) -> Option<Item> {
        let chunk = self.chunk.as_ref()?;
        let item = chunk.items.get(self.at)?.clone();
        self.at += 1;
        if self.at == chunk.items.len() {
            self.chunk = None;
        }
        Some(item)
    }

    /// Returns the reader's position: after everything that [`Feed::get`] will show before the next [`Feed::fill`].
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Bytes of records read but not yet started.
    pub fn buffered_bytes(&self) -> u64 {
        let items = self.chunk.iter().flat_map(|chunk| &chunk.items[self.at..]);
        items.map(|item| item.record_len() as u64).sum()
    }

    /// Waits until there is more, and takes it. Pending for ever while some is still there.
    ///
    /// # Errors
    /// The destination lags, and cannot read the journal or the decisions. Another call tries again, after a moment.
    ///
    /// # Cancel safety
    /// Nothing is lost: a read under way is picked up by the next call.
    pub async fn fill(&mut self) -> Result<(), ChunkError> {
        if self.get(0).is_some() {
            std::future::pending::<()>().await;
        }
        let chunk = loop {
            match self.follower.next(self.read_to, self.own.is_some()) {
                Next::Chunk(chunk) => {
                    self.own = None;
                    break chunk;
                }
                Next::Behind(through) => {
                    let new =
                        || ChunkReader::new(Arc::clone(&self.log), Arc::clone(&self.triage), self.read_to);
                    break Arc::new(self.own.get_or_insert_with(new).next(through).await?);
                }
                Next::Unread => {
                    self.own = None;
                    self.follower.changed().await;
                }
            }
        };
        self.at = chunk.items.partition_point(|item| item.last_seq() <= self.read_to);
        self.read_to = chunk.last();
        self.position = chunk.position;
        self.chunk = Some(chunk);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
