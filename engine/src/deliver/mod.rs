//! The last stretch of an event's way: from the journal to a destination.
//!
//! The pure pieces stand alone: [`schedule`], [`retry_after`], [`breaker`], [`rate`] and [`memory`] say when an attempt may
//! begin, [`verdict`] what its failure means, [`mod@format`] what it carries, [`sign`] and [`authorization`] what proves it,
//! [`visnyk_runtime::guard`] where it may go. [`client`] makes the attempt and says how it ended; a [`dispatcher`] per
//! destination puts
//! them together, and the [`fleet`] keeps the dispatchers in step with the configuration.

pub mod authorization;
pub mod breaker;
pub mod client;
pub mod connect;
pub mod credentials;
pub mod dispatcher;
pub mod exchange;
pub mod failure;
pub mod fetch;
pub mod fleet;
pub mod format;
pub mod headers;
pub mod last_failures;
pub mod memory;
pub mod metrics;
pub mod peer;
pub mod pins;
pub mod rate;
pub mod report;
pub mod resolver;
pub mod retry_after;
pub mod route;
pub mod schedule;
pub mod sign;
pub mod tls;
pub mod tokens;
pub mod verdict;
pub mod waits;

#[cfg(test)]
mod testing;
