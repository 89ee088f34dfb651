//! The way of an event through the relay, in its order: [`event`] gives it its envelope, [`journal`] keeps it, [`state`]
//! remembers how far each destination is (together the [`spool`]), [`triage`] reads it for all destinations, and
//! [`deliver`] sends it on.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests connect to the servers that they started")
)]

pub mod cloud_event_header;
pub mod deliver;
pub mod event;
pub mod journal;
pub mod spool;
pub mod state;
#[cfg(test)]
mod test_effort;
pub mod triage;
