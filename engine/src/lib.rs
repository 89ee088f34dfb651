//! What the relay and the collector both run on, in the order an event meets it:
//! [`serve`] takes it in, [`event`] gives it its envelope, [`journal`] keeps it,
//! [`state`] remembers how far each destination is (together the [`spool`]), [`deliver`] sends it on, and
//! [`observe`] tells the truth about all of that. What applies to all of them is their [`configuration`], how they treat a
//! [`lengthy`] body, and the [`file_identity`] of what they write.

pub use visnyk_runtime::{
    authority, configuration, crypto, exit, file_identity, lengthy, observe, secrets, serve,
};

pub mod cloud_event_header;
pub mod deliver;
pub mod event;
#[cfg(test)]
mod extent;
pub mod journal;
pub mod spool;
pub mod state;
