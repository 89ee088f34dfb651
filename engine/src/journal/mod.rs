//! The journal: accepted events and nothing else, append-only and immutable, synced before they are acknowledged.
//! An event comes here from its source, before the 2xx, and is read from here once per destination.
//!
//! In layers, from the disk upwards: [`disk`] touches files, `pages` reads around what they do not give,
//! `frame` and `header` are the format, `scan` walks it, `segment` knows who owns which sequence, `pool` has
//! files for the next segments, `recovery` finds out what is there, [`Log`] appends each [`Batch`], `writer` is its
//! thread, `answers` tells the appenders, [`Reader`] gives it back, and [`View`] is what all but the writer may do.

mod answers;
mod batch;
pub mod disk;
mod frame;
mod header;
mod log;
mod pages;
mod pool;
mod reader;
mod recovery;
mod scan;
mod segment;
#[cfg(test)]
pub mod sim;
#[cfg(test)]
mod tests;
mod view;
mod writer;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::watch;

use self::answers::Answers;
pub use self::answers::Appending;
pub use self::batch::Batch;
pub use self::disk::{Disk, DiskFile, Folder};
pub use self::log::{Appended, Log};
pub use self::pages::TRIES;
pub(crate) use self::pages::write_again;
pub use self::reader::{Entry, Position, ReadError, Reader};
pub use self::segment::SegmentUse;
pub use self::view::View;
use self::writer::{Queue, Tidy, Writer};

/// Sequence of an accepted event, from 1. No sequence that was acknowledged is used twice.
pub type Seq = u64;

/// Size of a journal, and the sequence where it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of one segment file; a multiple of 4 KiB. It bounds the largest record.
    pub segment_size: u64,
    /// Bytes of all segment files together; at least two of them.
    pub max_size: u64,
    /// One more than the highest sequence that the state has seen: what was seen was acknowledged, so it
    /// is neither given to another event nor taken for a torn tail.
    pub min_next_seq: Seq,
}

impl Options {
    /// Returns the length of the longest record, in bytes.
    pub fn max_record(&self) -> usize {
        let frames = self.segment_size.saturating_sub(header::DATA_START);
        usize::try_from(frames).unwrap_or(usize::MAX).saturating_sub(frame::FRAME_HEADER)
    }

    fn check(&self) -> Result<(), OpenError> {
        let is_sound = self.segment_size.is_multiple_of(header::HEADER_BLOCK as u64)
            && self.segment_size > header::DATA_START
            && self.segment_size < 1 << 32
            && self.max_size / 2 >= self.segment_size;
        if is_sound { Ok(()) } else { Err(OpenError::Size { options: self.clone() }) }
    }
}

/// Findings of the opening of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The first sequence that can still be read.
    pub oldest_seq: Seq,
    /// The next event's sequence.
    pub next_seq: Seq,
    /// Records at the very end that were begun and are not whole; at least, for a torn one does not say
    /// how many came behind it. A power cut leaves them, and they were not acknowledged, unless the disk has
    /// damaged the last batch since.
    pub torn_tail: u64,
    /// Number of live segments.
    pub segments: usize,
    /// Findings that an operator should know, a line each, with the file: lost headers, truncated files.
    pub notes: Vec<String>,
}

/// The reason for which a journal cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The sizes make no sense.
    #[error("journal sizes do not fit together: {options:?}")]
    Size {
        /// The options that were given.
        options: Options,
    },
    /// The folder cannot be read.
    #[error("cannot list the journal's folder")]
    Folder {
        /// Error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A file cannot be read or synced.
    #[error("cannot recover journal segment {file}")]
    Disk {
        /// Name of the segment's file.
        file: String,
        /// Error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A segment was written by a version of Visnyk that this one does not know.
    #[error("journal segment {file} has unknown version {version}")]
    UnknownVersion {
        /// Name of the segment's file.
        file: String,
        /// Version in its header.
        version: u32,
    },
    /// The same use of a segment lies in two files.
    #[error("journal segments {file} and {other} are copies of each other: move one away")]
    Twice {
        /// Name of one file.
        file: String,
        /// Name of the other file.
        other: String,
    },
    /// A file comes from another journal.
    #[error("journal segments {file} and {other} are of different journals: move one away")]
    Foreign {
        /// Name of one file.
        file: String,
        /// Name of the newest file.
        other: String,
    },
    /// Two segments do not follow one another as their headers say.
    #[error("journal segments {file} and {other} contradict each other: move one away")]
    Disorder {
        /// Name of one file.
        file: String,
        /// Name of the newer file.
        other: String,
    },
    /// There are segments, and none has a header that can be read.
    #[error("journal segment {file} cannot be read and no other is there: move it away to begin anew")]
    Unreadable {
        /// Name of the segment's file.
        file: String,
    },
    /// The journal's threads cannot be started.
    #[error("cannot start the journal's threads")]
    Threads {
        /// Error of the operating system.
        #[source]
        source: io::Error,
    },
}

/// The reason for which an event was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The journal has reached its bound, or the disk its end.
    #[error("journal is full")]
    Full,
    /// The disk fails, or the journal is closed. The record may still be found at the next start.
    #[error("journal cannot be written")]
    Unavailable,
    /// The record is longer than a segment.
    #[error("record is longer than a journal segment")]
    TooLarge,
}

/// Ability of the journal to accept events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteState {
    /// Events can be accepted.
    Writable,
    /// There is no space. Events are accepted again once a segment is freed.
    Full,
    /// The last write and its repetition failed. The journal tries again every second.
    Failing {
        /// Error of the operating system.
        reason: String,
    },
}

/// The open journal; a cheap handle.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    queue: Arc<Queue>,
    view: View,
    watermark: watch::Receiver<Seq>,
    write_state: Arc<Mutex<WriteState>>,
    max_record: usize,
    tidy: Tidy,
    /// Threads of the writer and the housekeeper.
    threads: Mutex<Option<[JoinHandle<()>; 2]>>,
}

impl Journal {
    /// Opens the journal in a folder that no other process writes to, and starts its threads. Takes as long as
    /// reading the headers of all segments and the frames of the last. `tick` is called from the
    /// writer's loop, at least about every second while that runs.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: &Options,
        tick: impl Fn() + Send + 'static,
    ) -> Result<(Self, Recovery), OpenError> {
        let (log, recovery) = Log::open(disk, options)?;
        let view = log.view().clone();
        let started = || {
            let (sender, watermark) = watch::channel(view.watermark());
            let write_state = Arc::new(Mutex::new(log.write_state().clone()));
            let queue = Arc::new(Queue::default());
            let (tidy, housekeeper) = Tidy::spawn(view.clone())?;
            let writer = Writer::new(log, Arc::clone(&queue), sender, Arc::clone(&write_state), tidy.clone());
            let threads = Mutex::new(Some([writer.spawn(tick)?, housekeeper]));
            let max_record = options.max_record();
            Ok(Inner { queue, view, watermark, write_state, max_record, tidy, threads })
        };
        let inner = started().map_err(|source| OpenError::Threads { source })?;
        inner.tidy.request();
        Ok((Self { inner: Arc::new(inner) }, recovery))
    }

    /// Accepts a record: see [`Journal::append_with`].
    ///
    /// # Errors
    /// The record was not accepted. After [`AppendError::Unavailable`] it may still turn up.
    ///
    /// # Cancel safety
    /// The record may be accepted although the future was dropped.
    pub async fn append(&self, record: Bytes) -> Result<Seq, AppendError> {
        self.append_with(record.len(), |to| to.extend_from_slice(&record)).await
    }

    /// Queues a record of `len` bytes, which `write` appends to the journal's buffer. What this returns resolves once the
    /// record is written and synced. Records have their sequences in the order in which `write` is called; all other
    /// appenders wait for it, so it does nothing but copy.
    pub fn append_with(&self, len: usize, write: impl FnOnce(&mut Vec<u8>)) -> Appending {
        if len > self.inner.max_record {
            return Answers::refused(AppendError::TooLarge);
        }
        self.inner.queue.push(write)
    }

    /// Returns the highest synced sequence, as it grows.
    pub fn watermark(&self) -> watch::Receiver<Seq> {
        self.inner.watermark.clone()
    }

    /// Returns the number of accepted events: see [`View::accepted_through`].
    pub fn accepted_through(&self, seq: Seq) -> u64 {
        self.inner.view.accepted_through(seq)
    }

    /// Makes a reader of everything after `after`.
    pub fn reader(&self, after: Seq) -> Reader {
        self.inner.view.reader(after)
    }

    /// Returns the view: everything that does not need the writer.
    pub fn view(&self) -> &View {
        &self.inner.view
    }

    /// Frees everything at or below `seq`, which is never read again. Segments with nothing else are used again.
    pub fn free_through(&self, seq: Seq) {
        if self.inner.view.free_through(seq) {
            self.inner.tidy.request();
        }
    }

    /// Returns the number of bytes of journal between a reader's position and the watermark.
    pub fn bytes_after(&self, position: &Position) -> u64 {
        self.inner.view.bytes_after(position)
    }

    /// Returns whether events can be accepted. The answer is at most a second old.
    pub fn write_state(&self) -> WriteState {
        self.inner.write_state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the journal's threads: what waits is written and synced, what comes later is refused. Readers
    /// go on. Without this the threads end by themselves with the last handle, a little later: until then
    /// the folder must not be opened anew.
    pub async fn close(self) {
        self.inner.queue.close();
        let threads = self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some([writer, housekeeper]) = threads {
            let tidy = self.inner.tidy.clone();
            // Joining waits for the disk. A panic of a thread has been reported where it happened.
            let joined = tokio::task::spawn_blocking(move || {
                let _ = writer.join();
                tidy.end();
                let _ = housekeeper.join();
            });
            let _ = joined.await;
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
    }
}
