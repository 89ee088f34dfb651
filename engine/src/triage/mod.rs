//! From accepted to decided: one reader follows the journal, decodes each event once for all destinations, and decides
//! about it.
//!
//! [`EventLog`] is the journal as it is read here, `item` an entry of it, decoded, and `chunk` reads some at a time. The
//! `reader` is the loop, and the [`Tail`] the memory in which the events wait for the destinations that keep up. A
//! destination that lags behind the tail reads the journal itself.
//!
//! [`Triage`] decides by the [`policy`] in force, and records it in the [`decisions`] before it has an effect. Without rules
//! nothing is decided and nothing is written, and the reader follows the destinations; with rules it follows the journal.

mod chunk;
pub mod decisions;
mod desk;
mod event_log;
mod item;
mod judge;
pub mod policy;
mod reader;
mod report;
mod tail;
#[cfg(test)]
pub(crate) mod testing;

pub use self::chunk::{Chunk, ChunkError, ChunkReader};
pub use self::decisions::Decided;
pub use self::desk::{Fate, Triage};
pub use self::event_log::{EventLog, LogReader};
pub use self::item::Item;
pub use self::judge::Ruling;
pub use self::reader::EventReader;
pub use self::report::{TriageCounts, TriageReport};
pub use self::tail::{Follower, Next, Tail};
