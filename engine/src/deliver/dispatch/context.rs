//! Everything that the dispatchers of a process share.

use std::sync::{Arc, MutexGuard};

use tokio::runtime::Handle;
use tokio::sync::watch;
use visnyk_runtime::observe::watchdog::Ticker;

use crate::deliver::dispatch::in_flight_budget::InFlightBudget;
use crate::deliver::report::DeliveryReport;
use crate::spool::Spool;
use crate::state::{CommitState, DestinationId, EventReader, Ledger, Ledgers, Lifecycle, SharedLedgers};
use crate::triage::{self, EventLog, Ruling, Tail, Triage};

/// The spool as dispatchers use it, and what they report. Clones share it.
#[derive(Clone)]
pub struct DispatchContext {
    /// Log of the accepted events.
    pub(super) log: Arc<dyn EventLog>,
    /// The events that were read last, for the destinations that keep up.
    pub(super) tail: Arc<Tail>,
    /// The rules in force, and the decisions.
    pub(in crate::deliver) triage: Arc<Triage>,
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
        let segments = Box::new(parts.journal.clone());
        let report = DeliveryReport::default();
        let triage = Triage::new(segments, Arc::clone(&parts.decisions), report.triage.clone());
        let triage = Arc::new(triage);
        let reader = triage::EventReader::new(Arc::clone(&log), Arc::clone(&triage), &tail, reader);
        runtime.spawn(reader.run());
        Self {
            log,
            tail,
            triage,
            ledgers: parts.ledgers.clone(),
            events: parts.events.clone(),
            commit_state: parts.commit_state.clone(),
            report,
            in_flight_budget: InFlightBudget::default(),
        }
    }

    /// Decides by these rules from now on, and for removed destinations by the condition that they last had. Call it
    /// before a dispatcher starts.
    pub(in crate::deliver) fn decide_by(&self, mut ruling: Ruling) {
        let (lowest, names) = {
            let ledgers = self.ledgers();
            let removed =
                ledgers.iter().filter(|ledger| matches!(ledger.lifecycle(), Lifecycle::Removed { .. }));
            let names: Vec<_> = removed.map(|ledger| ledger.name().to_owned()).collect();
            (ledgers.iter().map(Ledger::read_from).min().unwrap_or(0), names)
        };
        for removed in names.iter().filter_map(|name| self.triage.last_condition(name)) {
            if !ruling.destinations.iter().any(|(name, _)| *name == removed.name) {
                ruling.add_removed(&removed);
            }
        }
        self.triage.set_policy(ruling.into());
        let start = self.triage.begins_after(lowest);
        if self.triage.decides(start) {
            self.tail.decide_from(start);
            self.triage.set_decided_to(self.tail.decided_to());
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
