//! Everything that the dispatchers of a process share.

use std::sync::{Arc, MutexGuard};

use tokio::runtime::Handle;
use tokio::sync::watch;
use visnyk_runtime::observe::watchdog::Ticker;

use crate::deliver::dispatch::in_flight_budget::InFlightBudget;
use crate::deliver::report::DeliveryReport;
use crate::spool::Spool;
use crate::state::{CommitState, DestinationId, EventReader, Ledger, Ledgers, SharedLedgers};
use crate::triage::{self, EventLog, Tail};

/// The spool as dispatchers use it, and what they report. Clones share it.
#[derive(Clone)]
pub struct DispatchContext {
    /// Log of the accepted events.
    pub(super) log: Arc<dyn EventLog>,
    /// The events that were read last, for the destinations that keep up.
    pub(super) tail: Arc<Tail>,
    /// The state of each destination.
    ledgers: SharedLedgers,
    /// Reader of the events in the waiting room.
    pub(super) events: EventReader,
    /// Condition of the state file. Deliveries pause while it is not good.
    pub(super) commit_state: watch::Receiver<CommitState>,
    /// Attempts, failures and missing files, for metrics and `/status`.
    pub(in crate::deliver) report: DeliveryReport,
    /// Memory that each destination may use.
    pub(in crate::deliver) in_flight_budget: InFlightBudget,
}

impl DispatchContext {
    /// Makes a context of a spool, with nothing reported, and starts the reader of its journal on `runtime`. That ends by
    /// itself after the last clone is gone.
    pub fn new(spool: &Spool, reader: Ticker, runtime: &Handle) -> Self {
        let parts = spool.parts();
        let (log, tail): (Arc<dyn EventLog>, _) = (Arc::new(parts.journal.clone()), Tail::new());
        runtime.spawn(triage::EventReader::new(Arc::clone(&log), &tail, reader).run());
        Self {
            log,
            tail,
            ledgers: parts.ledgers.clone(),
            events: parts.events.clone(),
            commit_state: parts.commit_state.clone(),
            report: DeliveryReport::default(),
            in_flight_budget: InFlightBudget::default(),
        }
    }

    /// Locks the ledgers. Do not hold the guard across an await.
    pub(super) fn ledgers(&self) -> MutexGuard<'_, Ledgers> {
        self.ledgers.lock()
    }

    /// Calls `change` with the ledger of a destination. A destination whose retention ended has none any more: its
    /// events are counted, and the default is returned.
    pub(super) fn ledger<R: Default>(&self, id: DestinationId, change: impl FnOnce(&mut Ledger) -> R) -> R {
        self.ledgers().get_mut(id).map(change).unwrap_or_default()
    }
}
