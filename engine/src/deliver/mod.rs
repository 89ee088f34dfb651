//! The last stretch of an event's way: from the journal to a destination.
//!
//! A [`dispatch`]er per destination says when an attempt may begin and what its failure means: its parts are pure, such as
//! the schedule and the breaker. A channel of [`channels`] makes the attempt and says how it ended; [`mod@format`] makes what
//! it carries, and [`visnyk_runtime::guard`] says where it may go. The [`fleet`] keeps the dispatchers in step with the
//! configuration.

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

#[cfg(test)]
mod testing;
