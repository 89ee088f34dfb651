//! Decisions about events, recorded before they have an effect. One decision file lies beside each segment of the journal
//! whose events were decided; a segment without one is all default.

mod attempt;
mod file;
mod format;
mod store;
#[cfg(test)]
mod tests;

pub use self::format::{Addressee, Decision, MAX_DESTINATIONS, Tables, Verdict};
pub use self::store::{Decided, Decisions, OpenError, Segments};
