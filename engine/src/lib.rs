//! What the relay and the collector both run on, in the order an event meets it:
//! [`serve`] takes it in, [`event`] gives it its envelope, [`journal`] keeps it,
//! [`state`] remembers how far each destination is (together the [`spool`]), [`deliver`] sends it on, and
//! [`observe`] tells the truth about all of that. What applies to all of them is their [`configuration`], how they treat a
//! [`lengthy`] body, and the [`file_identity`] of what they write.

pub mod authority;
pub mod cloud_event_header;
pub mod configuration;
pub mod crypto;
pub mod deliver;
pub mod event;
pub mod exit;
#[cfg(test)]
mod extent;
pub mod file_identity;
pub mod journal;
pub mod lengthy;
pub mod observe;
pub mod secrets;
pub mod serve;
pub mod spool;
pub mod state;
