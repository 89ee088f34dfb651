//! Destinations for tests and benchmarks, by the detail that they keep: [`sink`] keeps each request, [`tally`] counts
//! each event by its number ([`numbered`]), [`counter`] only counts. Sinks of a test are on an address of their own
//! ([`address`]), and tests wait for conditions ([`wait`]).
//!
//! Everything here panics when the world is not as it should be: it is the test that fails then.

#![allow(clippy::disallowed_methods, reason = "tests connect to the servers that they started")]
#![allow(clippy::missing_panics_doc, clippy::unwrap_used, clippy::expect_used)]

pub mod address;
pub mod counter;
pub mod numbered;
mod server;
pub mod sink;
pub mod tally;
pub mod wait;
