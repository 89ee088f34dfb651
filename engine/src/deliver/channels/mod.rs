//! The ways in which an attempt leaves the relay. A destination has a policy, which the dispatcher follows, and a
//! channel, which makes the attempts. Each channel connects through [`visnyk_runtime::guard`] only:
//! clippy.toml refuses every other way to open a connection.

pub mod http;

use std::sync::Arc;

use futures::future::BoxFuture;
use jiff::Timestamp;
use visnyk_crds::valid::Destination;

use self::http::client::{HttpChannel, Outbound};
use super::failure::Failure;
use crate::event::Event;

/// The way to one destination, as the configuration, the Secrets and the peers folder say it is.
pub trait Channel: Send + Sync {
    /// Makes one attempt to deliver an event. `now` is the wall clock.
    ///
    /// # Errors
    /// The destination has not accepted the event, or nothing is known of it.
    ///
    /// # Cancel safety
    /// Dropped, it abandons the attempt. The destination may have got the event.
    fn send<'a>(&'a self, event: &'a Event, now: Timestamp) -> BoxFuture<'a, Result<Delivered, Failure>>;

    /// Sends one heartbeat. `now` is the wall clock.
    ///
    /// # Errors
    /// The destination has not accepted it. It is not tried again.
    fn send_heartbeat(&self, now: Timestamp) -> BoxFuture<'_, Result<Delivered, Failure>>;

    /// Returns why no attempt can succeed, such as a Secret that is missing. It is the same for as long as the channel
    /// lives; [`Channel::refreshed`] returns another one once that has changed.
    fn waits_for(&self) -> Option<&str>;

    /// Returns a channel to the destination as it is now. It uses what this one has, such as connections, where nothing
    /// has changed that this depends on. Reads files.
    fn changed_to(&self, destination: &Destination) -> Arc<dyn Channel>;

    /// Returns another channel to the same destination if its Secrets or the peers folder have changed. Reads files.
    fn refreshed(&self) -> Option<Arc<dyn Channel>>;
}

/// An attempt that delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Status of the answer.
    pub status: u16,
}

/// Opens the channel to a destination. `before` is the one that it had, whose connections are used again where they can
/// be. Never fails: see [`Channel::waits_for`]. Reads files.
pub fn open(
    destination: &Destination,
    outbound: &Outbound,
    before: Option<&dyn Channel>,
) -> Arc<dyn Channel> {
    match before {
        Some(before) => before.changed_to(destination),
        None => Arc::new(HttpChannel::new(destination, outbound)),
    }
}
