//! The state that changes: the position of each destination, the waiting events, and the dead letters.
//!
//! An event comes here when its delivery ends. [`Ledgers`] holds the truth in memory and is pure; the [`Store`] keeps
//! it in an `SQLite` file, about ten times a second, one transaction at a time. It is never on the way of an accept,
//! and losing its last batch can only repeat a delivery.

mod batch;
mod commands;
mod committer;
mod configure;
#[cfg(test)]
pub(crate) mod fake;
mod held;
mod ledger;
mod ledgers;
mod limits;
mod open;
mod seen;
mod shared;
mod status;
mod store;
mod window;

pub use batch::{Batch, DestinationRow, HeldRow};
pub use commands::{Redriven, Select};
pub use committer::{CommitState, Committer, NotCommitted};
pub use configure::{Configured, Plan, Wanted};
pub use held::{
    DeadLetter, Death, EventAt, HeldKind, NOTE_BYTES, Pause, Postponed, Record, StoredEvent, WaitingEvent,
};
pub use ledger::{Admission, Ending, Ledger, RoomFull};
pub use ledgers::{Expired, Ledgers};
pub use limits::RoomLimits;
pub use open::{Loaded, LostDestination, Repairs};
pub use seen::{First, Seen, SeenBatch, SeenEvent, SeenPage};
pub use shared::SharedLedgers;
pub use status::{DestinationStatus, Lifecycle};
pub use store::{CommitError, EventError, EventReader, OpenError, Store, StoreOptions};
pub use window::{Covered, MAX_RUNS, Window};

/// The place of an event in the journal; the first is 1.
pub use crate::journal::Seq;

/// A destination as the state file knows it; never given twice while the process runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationId(pub u32);

/// The counts of the journal that the ledgers need.
pub trait Accepted {
    /// Returns the highest synced sequence.
    fn watermark(&self) -> Seq;
    /// Returns the number of events that the journal ever accepted with a sequence of at most `seq`. Voids are not
    /// events.
    fn accepted_through(&self, seq: Seq) -> u64;
    /// Returns the sequence through which every event is decided.
    fn decided_to(&self) -> Seq {
        Seq::MAX
    }
}
