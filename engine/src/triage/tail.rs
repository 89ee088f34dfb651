//! The decoded events that the destinations that keep up have still to take, in bounded memory.
//!
//! It ends at the destination that is furthest ahead, which is what the reader follows: what no destination has room for
//! is not read. With rules it ends at the last event that was decided, and no destination is told of more. When the memory is used up, the oldest chunk goes. A destination that needs it lags, and reads the
//! journal itself until it is back in the younger half, so that it is not out again at once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::chunk::Chunk;
use super::item::Item;
use crate::journal::Seq;

/// Maximum memory of the events, beside the newest chunk.
const MAX_MEMORY: u64 = 8 << 20;

/// The events that were read last. Destinations take them as followers.
pub struct Tail {
    shared: Mutex<Shared>,
    /// The highest sequence that a follower asks for.
    wanted: watch::Sender<Seq>,
    /// The last sequence that was read.
    read_to: watch::Sender<Seq>,
    max_memory: u64,
}

#[derive(Default)]
struct Shared {
    /// Chunks in a row, the oldest first.
    chunks: VecDeque<Held>,
    /// The last sequence of the newest chunk; without chunks, the one behind which the next begins. Absent until a
    /// follower asks or the reader decides.
    end: Option<Seq>,
    /// The reader decides about every event, and no follower moves the end.
    is_decided: bool,
    /// Bytes of all chunks so far.
    memory_end: u64,
    /// The last sequence that each follower has taken.
    followers: HashMap<u64, Seq>,
    next_follower: u64,
}

struct Held {
    chunk: Arc<Chunk>,
    /// Bytes of all chunks so far, this one not included.
    memory_before: u64,
}

/// The next events of a follower.
pub enum Next {
    /// They are in this chunk. It may begin with some that the follower has already.
    Chunk(Arc<Chunk>),
    /// The tail has them no more: read the journal, through this sequence.
    Behind(Seq),
    /// They are not read yet: wait for [`Follower::changed`].
    Unread,
}

impl Tail {
    /// Makes an empty tail.
    pub fn new() -> Arc<Self> {
        Self::with_memory(MAX_MEMORY)
    }

    /// Makes an empty tail of so many bytes.
    pub(crate) fn with_memory(max_memory: u64) -> Arc<Self> {
        let (wanted, read_to) = (watch::Sender::new(0), watch::Sender::new(0));
        Arc::new(Self { shared: Mutex::default(), wanted, read_to, max_memory })
    }

    /// Adds a follower that has everything through `after`.
    pub fn follow(self: &Arc<Self>, after: Seq) -> Follower {
        let mut shared = self.shared();
        let id = shared.next_follower;
        shared.next_follower += 1;
        shared.followers.insert(id, after);
        drop(shared);
        Follower { tail: Arc::clone(self), id, read_to: self.read_to.subscribe() }
    }

    /// Returns the highest sequence that a follower asks for, as it grows.
    pub(super) fn wanted(&self) -> watch::Receiver<Seq> {
        self.wanted.subscribe()
    }

    /// Returns the sequence behind which the next chunk begins. Absent until a follower asks.
    pub(super) fn end(&self) -> Option<Seq> {
        self.shared().end
    }

    /// Has the reader decide about every event from now on, the first time from the one after `start`.
    pub fn decide_from(&self, start: Seq) {
        let mut shared = self.shared();
        shared.is_decided = true;
        shared.end.get_or_insert(start);
        self.wanted.send_replace(Seq::MAX);
    }

    /// Has the reader follow the destinations from now on, unless it `decides` about what comes.
    pub(super) fn follow_destinations_unless(&self, decides: impl FnOnce() -> bool) {
        let mut shared = self.shared();
        // Asked under the lock: rules that come at this moment are in force before `decide_from` is called.
        if shared.is_decided && !decides() {
            shared.is_decided = false;
            // What followers asked for until now was not kept.
            self.wanted.send_replace(shared.end.unwrap_or(0) + 1);
        }
    }

    /// Returns the last sequence that is decided; `None`: no event needs a decision.
    pub fn decided_to(&self) -> Option<Seq> {
        let shared = self.shared();
        shared.end.filter(|_| shared.is_decided)
    }

    /// Adds the chunk that was read. One that does not begin at the end is left out: a follower is further ahead.
    pub(super) fn push(&self, chunk: Chunk) {
        let last = chunk.last();
        let mut shared = self.shared();
        if shared.end != Some(chunk.after) {
            return;
        }
        let memory: usize = chunk.items.iter().map(Item::memory).sum();
        let memory_before = shared.memory_end;
        shared.chunks.push_back(Held { chunk: Arc::new(chunk), memory_before });
        shared.memory_end += memory as u64;
        shared.end = Some(last);
        while shared.chunks.len() > 1 && shared.memory() > self.max_memory {
            shared.chunks.pop_front();
        }
        drop(shared);
        self.read_to.send_replace(last);
    }

    /// Bytes of the events in memory.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> u64 {
        self.shared().memory()
    }

    fn want(&self, seq: Seq) {
        self.wanted.send_if_modified(|wanted| {
            let is_more = *wanted < seq;
            *wanted = seq.max(*wanted);
            is_more
        });
    }

    // Nothing that runs under the lock panics half-way.
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn memory(&self) -> u64 {
        self.chunks.front().map_or(0, |oldest| self.memory_end - oldest.memory_before)
    }
}

/// A destination's place at the tail.
pub struct Follower {
    tail: Arc<Tail>,
    id: u64,
    read_to: watch::Receiver<Seq>,
}

impl Follower {
    /// Returns what comes after `after`, which never shrinks. A follower that `lags` reads the journal itself, and is
    /// told to go on with that until it is well back.
    pub fn next(&mut self, after: Seq, lags: bool) -> Next {
        self.read_to.mark_unchanged();
        let mut shared = self.tail.shared();
        shared.followers.insert(self.id, after);
        let end = match shared.end {
            Some(end) if after <= end => end,
            // It was decided about before a start, and is looked at again.
            Some(_) if shared.is_decided => return Next::Unread,
            // The first of all, or further ahead than all others: they lag.
            _ => {
                shared.chunks.clear();
                *shared.end.insert(after)
            }
        };
        if after == end {
            // The memory is for those that still need it.
            if shared.followers.values().all(|taken| *taken >= end) {
                shared.chunks.clear();
            }
            drop(shared);
            self.tail.want(end + 1);
            return Next::Unread;
        }
        let index = shared.chunks.partition_point(|held| held.chunk.last() <= after);
        let Some(held) = shared.chunks.get(index).filter(|held| held.chunk.after <= after) else {
            return Next::Behind(end);
        };
        if lags && shared.memory_end - held.memory_before > self.tail.max_memory / 2 {
            return Next::Behind(end);
        }
        let chunk = Arc::clone(&held.chunk);
        drop(shared);
        if chunk.last() == end {
            // Read on while these are delivered.
            self.tail.want(end + 1);
        }
        Next::Chunk(chunk)
    }

    /// Waits until more was read.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn changed(&mut self) {
        // It cannot be closed: the tail that sends is held here.
        let _ = self.read_to.changed().await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.tail.shared().followers.remove(&self.id);
    }
}
