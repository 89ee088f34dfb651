//! The operations on a journal that do not need its writer: reading, counting, and freeing.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::Seq;
use super::disk::Disk;
use super::pool::Pool;
use super::reader::{Position, Reader};
use super::segment::{Catalog, SegmentUse};

/// Handle of the live segments; cheap to clone.
#[derive(Clone)]
pub struct View {
    disk: Arc<dyn Disk>,
    catalog: Arc<Catalog>,
    pool: Arc<Pool>,
}

impl View {
    pub(super) fn new(disk: Arc<dyn Disk>, catalog: Arc<Catalog>, pool: Arc<Pool>) -> Self {
        Self { disk, catalog, pool }
    }

    pub(super) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Returns the highest synced sequence.
    pub fn watermark(&self) -> Seq {
        self.catalog.watermark()
    }

    /// Makes a reader of everything after `after`.
    pub fn reader(&self, after: Seq) -> Reader {
        Reader::new(Arc::clone(&self.disk), Arc::clone(&self.catalog), after)
    }

    /// Returns the number of events accepted with a sequence of at most `seq` since the journal began. It is exact for
    /// live segments; below them, voids count as events.
    pub fn accepted_through(&self, seq: Seq) -> u64 {
        self.catalog.accepted_through(seq)
    }

    /// Returns the number of bytes of journal between a reader's position and the watermark.
    pub fn bytes_after(&self, position: &Position) -> u64 {
        self.catalog.bytes().saturating_sub(position.bytes)
    }

    /// Frees everything at or below `seq`, which is never read again: segments with nothing else are used again.
    /// Returns whether there were any.
    pub fn free_through(&self, seq: Seq) -> bool {
        let freed = self.catalog.free_through(seq.min(self.watermark()));
        self.pool.recycle(&freed);
        !freed.is_empty()
    }

    /// Returns the segment that owns a sequence; `None` if that was freed.
    pub fn owner(&self, seq: Seq) -> Option<SegmentUse> {
        self.catalog.owner(seq)
    }

    /// Returns the oldest live segment; `None` if there is none yet.
    pub fn oldest(&self) -> Option<SegmentUse> {
        self.catalog.oldest()
    }

    /// Counts the bytes of files that lie beside the segments against the journal's size from now on.
    pub fn count_beside(&self, bytes: Arc<AtomicU64>) {
        self.pool.count_beside(bytes);
    }

    /// Returns whether the next segment is ready.
    pub fn has_next(&self) -> bool {
        self.pool.is_ready()
    }

    /// Removes files that are not needed, and zeroes the next one before it is needed. It is slow, and runs on a thread
    /// of its own. A failure shows when the file is wanted.
    pub fn tidy(&self) {
        self.pool.remove_doomed();
        if let Err(error) = self.pool.prepare(1) {
            tracing::debug!(error = %error, "next journal segment is not prepared");
        }
    }
}
