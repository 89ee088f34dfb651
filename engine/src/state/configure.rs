//! Which destinations there are: what a new configuration means for the ledgers.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::Ledger;
use super::ledgers::Ledgers;
use super::limits::RoomLimits;
use super::status::Lifecycle;
use super::window::Window;
use super::{Accepted, DestinationId, Seq};

/// A destination of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Unique.
    pub name: String,
    /// The same for the same target, different for any other.
    pub fingerprint: String,
}

/// What a configuration changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configured {
    /// The key of each wanted destination, in their order.
    pub ids: Vec<DestinationId>,
    /// Names that are new, and with which sequence they begin.
    pub added: Vec<(String, Seq)>,
    /// Names that had been removed and go on.
    pub resumed: Vec<String>,
    /// Names that were disabled until now.
    pub enabled: Vec<String>,
    /// Names that are removed now, and keep their events.
    pub removed: Vec<String>,
}

impl Ledgers {
    /// Makes the destinations those of the configuration. Commit before anything is accepted under it:
    /// what is accepted sooner may not count for a new destination.
    pub fn configure(&mut self, wanted: &[Wanted], now_ms: i64, journal: &dyn Accepted) -> Configured {
        let mut configured = Configured::default();
        let known: Vec<_> = wanted.iter().map(|wanted| self.recognise(wanted)).collect();
        // What the file does not know it may have forgotten: then a destination begins at the oldest event.
        let forgotten = std::mem::take(&mut self.fresh) || !std::mem::take(&mut self.lost).is_empty();
        let start = if forgotten { self.before_oldest } else { journal.watermark() };
        // Of each of these it either took an event or held it, and its rooms are bounded.
        let unaccounted = std::mem::take(&mut self.unaccounted).min(2 * RoomLimits::EVENTS);
        for (wanted, id) in wanted.iter().zip(known) {
            let id = if let Some(ledger) = id.and_then(|id| self.by_id.get_mut(&id)) {
                ledger.want(wanted, &mut configured);
                ledger.id
            } else {
                configured.added.push((wanted.name.clone(), start + 1));
                self.add(wanted, start, unaccounted, journal)
            };
            configured.ids.push(id);
        }
        let ids: BTreeSet<_> = configured.ids.iter().copied().collect();
        for ledger in self.by_id.values_mut().filter(|ledger| !ids.contains(&ledger.id)) {
            if !matches!(ledger.lifecycle, Lifecycle::Removed { .. }) {
                ledger.lifecycle = Lifecycle::Removed { at_ms: now_ms };
                ledger.changed = true;
                configured.removed.push(ledger.name.clone());
            }
        }
        self.share_reserve();
        configured
    }

    /// The ledger of a wanted destination. One whose row was unreadable is known by its name or its
    /// target: whichever is unharmed leads to the right address.
    fn recognise(&mut self, wanted: &Wanted) -> Option<DestinationId> {
        let known = |ledger: &&Ledger| ledger.name == wanted.name;
        let found = self.by_id.values().find(known).or_else(|| {
            let lost = self.lost.iter().filter_map(|id| self.by_id.get(id));
            lost.into_iter().find(|ledger| ledger.fingerprint == wanted.fingerprint)
        });
        let id = found?.id;
        self.lost.retain(|lost| *lost != id);
        Some(id)
    }

    /// A destination that gets everything above `start`. What it may have held from before, nobody can tell any more.
    fn add(
        &mut self,
        wanted: &Wanted,
        start: Seq,
        unaccounted: u64,
        journal: &dyn Accepted,
    ) -> DestinationId {
        let id = DestinationId(self.next_id);
        self.next_id += 1;
        let accepted = (journal.accepted_through(start) - unaccounted).cast_signed();
        let mut ledger = Ledger::new(id, wanted.name.clone(), Window::new(start), accepted);
        ledger.damaged = unaccounted;
        ledger.fingerprint.clone_from(&wanted.fingerprint);
        self.by_id.insert(id, ledger);
        id
    }
}

impl Ledger {
    /// A destination that gets everything above the window's cursor.
    pub(super) fn new(id: DestinationId, name: String, window: Window, accepted_at_creation: i64) -> Self {
        Self {
            id,
            name,
            fingerprint: String::new(),
            lifecycle: Lifecycle::Active,
            accepted_at_creation,
            committed_cursor: window.cursor(),
            window,
            delivered: 0,
            dropped: 0,
            damaged: 0,
            waiting: super::held::Room::default(),
            dead: super::held::Room::default(),
            limits: RoomLimits { events: 0, bytes: 0 },
            pause: None,
            begun: BTreeMap::new(),
            changed: true,
            changed_held: BTreeSet::new(),
            gone: Vec::new(),
        }
    }

    /// Goes on under this configuration.
    fn want(&mut self, wanted: &Wanted, configured: &mut Configured) {
        let lifecycle = match self.lifecycle {
            Lifecycle::Removed { .. } => {
                configured.resumed.push(wanted.name.clone());
                Lifecycle::Active
            }
            Lifecycle::Disabled if self.fingerprint != wanted.fingerprint => {
                configured.enabled.push(wanted.name.clone());
                Lifecycle::Active
            }
            unchanged => unchanged,
        };
        if self.lifecycle != lifecycle || self.name != wanted.name || self.fingerprint != wanted.fingerprint {
            self.lifecycle = lifecycle;
            self.name.clone_from(&wanted.name);
            if self.fingerprint != wanted.fingerprint {
                // Another target never asked for it.
                self.pause = None;
            }
            self.fingerprint.clone_from(&wanted.fingerprint);
            self.changed = true;
        }
    }
}
