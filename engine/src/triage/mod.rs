//! From accepted to handed on: one reader follows the journal and decodes each event once for all destinations.
//!
//! [`EventLog`] is the journal as it is read here, `item` an entry of it, decoded, and `chunk` reads some at a time. The
//! `reader` is the loop, and the [`Tail`] the memory in which the events wait for the destinations that keep up. A
//! destination that lags behind the tail reads the journal itself.

mod chunk;
mod event_log;
mod item;
mod reader;
mod tail;

pub use self::chunk::{Chunk, ChunkReader};
pub use self::event_log::{EventLog, LogReader};
pub use self::item::Item;
pub use self::reader::EventReader;
pub use self::tail::{Follower, Next, Tail};
