//! The last stretch of an event's way: from the journal to a destination.
//!
//! The dispatcher of a destination ([`dispatch`]) says when an attempt may begin and what its failure means. Its parts,
//! such as the schedule and the breaker, are pure. A channel ([`channels`]) makes the attempt and says how it ended:
//! [`mod@format`] makes its content, and [`visnyk_runtime::guard`] says which addresses it may connect to. The [`fleet`]
//! keeps the dispatchers in step with the configuration.

pub mod blocked_destinations;
pub mod channels;
pub mod dispatch;
pub mod failure;
pub mod fleet;
pub mod format;
pub mod last_failures;
pub mod metrics;
pub mod report;
pub mod retry_after;
pub mod threads;

#[cfg(test)]
mod testing;
