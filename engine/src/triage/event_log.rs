//! The log of accepted events, as it is read for destinations.

use tokio::sync::watch;

use crate::journal::{Entry, Journal, Position, ReadError, Reader, Seq, WriteState};
use crate::state::Accepted;

/// Accepted events in the order of their sequences. [`Journal`] is one.
pub trait EventLog: Accepted + Send + Sync {
    /// Opens a reader of everything after `after`.
    fn reader(&self, after: Seq) -> Box<dyn LogReader>;

    /// Returns the highest sequence that may be read, as it grows.
    fn watch_watermark(&self) -> watch::Receiver<Seq>;

    /// Returns the number of bytes between a reader's position and the watermark.
    fn bytes_after(&self, position: &Position) -> u64;

    /// Returns whether writes fail too. Then a failed read says nothing about the records.
    fn is_failing(&self) -> bool;
}

/// A position in an [`EventLog`], from which entries are read in order.
pub trait LogReader: Send {
    /// Returns the next entry; `None` at the watermark. It may read from a disk.
    ///
    /// # Errors
    /// The disk cannot be read. Another call tries again.
    fn next(&mut self) -> Result<Option<Entry>, ReadError>;

    /// Returns the position after the last entry.
    fn position(&self) -> Position;

    /// Makes the bytes that cannot be read damaged entries. Returns `false` if nothing of their file can be read,
    /// which says nothing about the records in it.
    fn give_up(&mut self) -> bool;
}

impl EventLog for Journal {
    fn reader(&self, after: Seq) -> Box<dyn LogReader> {
        Box::new(Self::reader(self, after))
    }

    fn watch_watermark(&self) -> watch::Receiver<Seq> {
        self.watermark()
    }

    fn bytes_after(&self, position: &Position) -> u64 {
        Self::bytes_after(self, position)
    }

    fn is_failing(&self) -> bool {
        matches!(self.write_state(), WriteState::Failing { .. })
    }
}

impl LogReader for Reader {
    fn next(&mut self) -> Result<Option<Entry>, ReadError> {
        Self::next(self)
    }

    fn position(&self) -> Position {
        Self::position(self)
    }

    fn give_up(&mut self) -> bool {
        Self::give_up(self)
    }
}
