//! The actor that brings one destination its events: it takes fresh ones at its own pace, tries the waiting
//! events when they fall due, and tells the ledger how each attempt ended. No destination shares anything with
//! another but the disk, and of the memory each has its part.

pub mod breaker;
mod complete;
mod context;
mod due;
mod early;
mod feed;
pub mod in_flight_budget;
pub mod limit;
pub mod rate;
mod run;
pub mod schedule;
mod start;
#[cfg(test)]
mod tests;
pub mod verdict;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};
use visnyk_crds::valid::Destination;
use visnyk_runtime::observe::watchdog::Ticker;

use self::breaker::Breaker;
use self::complete::Finished;
pub use self::context::DispatchContext;
use self::due::DueQueue;
use self::early::Early;
use self::feed::Feed;
use self::limit::ConcurrencyLimit;
use self::rate::Rate;
use super::channels::Channel;
use super::metrics::DestinationMetrics;
use crate::event::Event;
use crate::journal::Seq;
use crate::state::{DestinationId, Postponed};

/// A command to a running dispatcher.
pub enum Command {
    /// The destination's settings or its peer's files changed; its cursor and waiting events stay.
    Reconfigure(Box<Destination>, Arc<dyn Channel>),
    /// These dead letters are waiting again, due now.
    Redriven(Vec<Seq>),
    /// Drop every event accepted so far and not yet delivered; answers how many that were.
    Discard(oneshot::Sender<u64>),
    /// Start nothing more, wait for the attempts in flight, and end.
    Stop,
}

/// The actor of one destination; [`Dispatcher::run`] is its loop.
pub struct Dispatcher {
    context: DispatchContext,
    id: DestinationId,
    destination: Destination,
    channel: Arc<dyn Channel>,
    commands: mpsc::UnboundedReceiver<Command>,
    ticker: Ticker,

    /// Wakes the loop of a destination that bounds its backlog, since new events may push out old ones.
    watermark: watch::Receiver<Seq>,
    feed: Feed,
    /// Number of events at the feed's front that the ledger has let begin.
    admitted: usize,
    due: DueQueue,
    early: Early,
    /// Failed events for which the waiting room had no place; each keeps one of the places for requests, so that as
    /// many fewer fresh ones start.
    held: HashMap<Seq, Held>,
    in_flight: FuturesUnordered<BoxFuture<'static, Finished>>,
    /// Bytes of the records in flight.
    in_flight_bytes: u64,
    /// The events in flight whose outcome still counts: a bounded backlog may have given some up meanwhile.
    started: BTreeMap<Seq, Started>,
    last_origin: Origin,

    breaker: Breaker,
    limit: ConcurrencyLimit,
    metrics: DestinationMetrics,
    /// Set while [`LastFailures`](super::last_failures::LastFailures) has one of this destination.
    has_failed: bool,
    rate: Option<Rate>,
    /// End of the pause that the destination asked for; `None`: no pause.
    paused_until: Option<Instant>,
    phase: Phase,
    discards: Vec<oneshot::Sender<u64>>,
}

/// An event that failed and is kept in memory, since the waiting room is full. After a restart it is fresh again.
struct Held {
    record: Bytes,
    event: Arc<Event>,
    postponed: Postponed,
}

/// Facts about an event in flight.
struct Started {
    origin: Origin,
    /// Bytes of its record; 0 for one that is counted in the waiting room.
    bytes: u64,
}

/// The place from which an event was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Fresh,
    Waiting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Delivering,
    /// The destination said 410: nothing is started until its address changes.
    Disabled,
    Stopping,
}

impl Dispatcher {
    /// Makes a dispatcher for a destination that the ledgers know by `id`. It goes on at the destination's cursor.
    pub fn new(
        context: DispatchContext,
        id: DestinationId,
        destination: Destination,
        channel: Arc<dyn Channel>,
        commands: mpsc::UnboundedReceiver<Command>,
        ticker: Ticker,
    ) -> Self {
        let feed = start::feed(&context, id);
        let due = start::waiting_due(&context, id);
        let paused_until = start::paused_until(&context, id);
        Self {
            breaker: Breaker::new(destination.concurrency),
            limit: ConcurrencyLimit::new(destination.concurrency),
            metrics: context.report.metrics.of(&destination.name),
            has_failed: false,
            rate: destination.rate_limit.map(Rate::new),
            phase: start::phase(&context, id),
            watermark: context.log.watch_watermark(),
            context,
            id,
            destination,
            channel,
            commands,
            ticker,
            feed,
            admitted: 0,
            due,
            early: Early::default(),
            held: HashMap::new(),
            in_flight: FuturesUnordered::new(),
            in_flight_bytes: 0,
            started: BTreeMap::new(),
            last_origin: Origin::Fresh,
            paused_until,
            discards: Vec::new(),
        }
    }
}
