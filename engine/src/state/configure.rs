//! Which destinations there are: what a new configuration means for the ledgers.

use std::collections::{BTreeMap, BTreeSet};

use super::batch::Batch;
use super::held::Pause;
use super::ledger::Ledger;
use super::ledgers::Ledgers;
use super::limits::RoomLimits;
use super::status::Lifecycle;
use super::window::Window;
use super::{Accepted, DestinationId, Seq};

/// A destination of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Name of the destination, unique.
    pub name: String,
    /// Hash of the target: equal for equal targets, and different for different ones.
    pub fingerprint: String,
}

/// The changes of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configured {
    /// The key of each wanted destination, in their order.
    pub ids: Vec<DestinationId>,
    /// Names of new destinations, each with the sequence at which it begins.
    pub added: Vec<(String, Seq)>,
    /// Names of removed destinations that are configured again.
    pub resumed: Vec<String>,
    /// Names of destinations that were disabled and are enabled again.
    pub enabled: Vec<String>,
    /// Names of destinations that are removed now. They keep their events.
    pub removed: Vec<String>,
}

/// The changes that a configuration means for the ledgers, once it is in the file. Nothing is changed yet.
#[derive(Clone, Debug)]
pub struct Plan {
    wanted: Vec<Wanted>,
    /// The key of each wanted destination, in their order.
    ids: Vec<DestinationId>,
    /// Ledgers of the wanted destinations that are new.
    added: Vec<Ledger>,
    now_ms: i64,
}

/// The terms of a configuration for one ledger.
#[derive(Debug, PartialEq, Eq)]
struct Terms {
    name: String,
    fingerprint: String,
    lifecycle: Lifecycle,
    pause: Option<Pause>,
}

impl Ledgers {
    /// Works out what a configuration means, and changes nothing. Nothing expires from now on until
    /// [`Ledgers::install`] or [`Ledgers::abandon`]. Commit what [`Ledgers::take_batch_of`] returns in between:
    /// what is accepted sooner may not count for a new destination.
    pub fn plan(&mut self, wanted: &[Wanted], now_ms: i64, journal: &dyn Accepted) -> Plan {
        self.is_planned = true;
        let mut lost = self.lost.clone();
        let known: Vec<_> = wanted.iter().map(|wanted| self.recognise(wanted, &mut lost)).collect();
        // What the file does not know it may have forgotten: then a destination begins at the oldest event.
        let forgotten = self.fresh || !lost.is_empty();
        let start = if forgotten { self.before_oldest } else { journal.watermark() };
        // Of each of these it either took an event or held it, and its rooms are bounded.
        let unaccounted = self.unaccounted.min(2 * RoomLimits::EVENTS);
        let mut plan = Plan { wanted: wanted.to_vec(), ids: Vec::new(), added: Vec::new(), now_ms };
        for (wanted, known) in wanted.iter().zip(known) {
            let id = known.unwrap_or_else(|| {
                let id = DestinationId(self.next_id + u32::try_from(plan.added.len()).unwrap_or(u32::MAX));
                let ledger = new_ledger(id, wanted, start, unaccounted, journal);
                plan.added.push(Ledger { reached_ms: Some(now_ms), ..ledger });
                id
            });
            plan.ids.push(id);
        }
        plan
    }

    /// Makes the destinations those of a plan that is in the file.
    pub fn install(&mut self, plan: Plan) -> Configured {
        self.is_planned = false;
        self.fresh = false;
        self.lost.clear();
        self.unaccounted = 0;
        let mut configured = Configured { ids: plan.ids.clone(), ..Configured::default() };
        for ledger in self.by_id.values_mut() {
            let terms = plan.terms(ledger);
            ledger.agree(terms, &mut configured);
        }
        for mut ledger in plan.added {
            configured.added.push((ledger.name.clone(), ledger.window.cursor() + 1));
            ledger.changed = false;
            self.next_id = self.next_id.max(ledger.id.0.saturating_add(1));
            self.by_id.insert(ledger.id, ledger);
        }
        self.share_reserve();
        configured
    }

    /// Gives up a plan that is not in the file: everything stays as it was.
    pub fn abandon(&mut self) {
        self.is_planned = false;
    }

    /// Returns what changed since the last batch, with every destination as the plan wants it; `None` while a
    /// batch is out.
    pub fn take_batch_of(&mut self, plan: &Plan) -> Option<Batch> {
        let mut batch = self.take_whole_batch()?;
        for row in &mut batch.destinations {
            if let Some(ledger) = self.by_id.get(&row.id) {
                let Terms { name, fingerprint, lifecycle, pause } = plan.terms(ledger);
                if lifecycle != row.lifecycle {
                    row.removed_for_ms = 0;
                }
                (row.name, row.fingerprint, row.lifecycle, row.pause) = (name, fingerprint, lifecycle, pause);
            }
        }
        batch.destinations.extend(plan.added.iter().map(Ledger::to_row));
        Some(batch)
    }

    /// Plans and installs at once, as where no file has to know first.
    #[cfg(test)]
    pub(crate) fn configure(&mut self, wanted: &[Wanted], now_ms: i64, journal: &dyn Accepted) -> Configured {
        let plan = self.plan(wanted, now_ms, journal);
        let configured = self.install(plan);
        let added: BTreeSet<_> = configured.added.iter().map(|(name, _)| name).collect();
        for ledger in self.by_id.values_mut().filter(|ledger| added.contains(&ledger.name)) {
            ledger.changed = true;
        }
        configured
    }

    /// Finds the ledger of a wanted destination. One whose row was unreadable is known by its name or its target: the
    /// one that is undamaged leads to the right address.
    fn recognise(&self, wanted: &Wanted, lost: &mut Vec<DestinationId>) -> Option<DestinationId> {
        let known = |ledger: &&Ledger| ledger.name == wanted.name;
        let found = self.by_id.values().find(known).or_else(|| {
            let lost = lost.iter().filter_map(|id| self.by_id.get(id));
            lost.into_iter().find(|ledger| ledger.fingerprint == wanted.fingerprint)
        });
        let id = found?.id;
        lost.retain(|lost| *lost != id);
        Some(id)
    }
}

/// Makes the ledger of a destination that gets everything above `start`. Events that it may have held before are not
/// known any more.
fn new_ledger(
    id: DestinationId,
    wanted: &Wanted,
    start: Seq,
    unaccounted: u64,
    journal: &dyn Accepted,
) -> Ledger {
    let accepted = (journal.accepted_through(start) - unaccounted).cast_signed();
    let mut ledger = Ledger::new(id, wanted.name.clone(), Window::new(start), accepted);
    ledger.damaged = unaccounted;
    ledger.fingerprint.clone_from(&wanted.fingerprint);
    ledger
}

impl Plan {
    /// Returns the terms of a ledger: those of the wanted destination, or removed.
    fn terms(&self, ledger: &Ledger) -> Terms {
        let mut wanted = self.ids.iter().zip(&self.wanted);
        match wanted.find(|(id, _)| **id == ledger.id) {
            Some((_, wanted)) => ledger.wanted(wanted),
            None => ledger.unwanted(self.now_ms),
        }
    }
}

impl Ledger {
    /// Makes the ledger of a destination that gets everything above the window's cursor.
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
            filtered: 0,
            damaged: 0,
            waiting: super::held::Room::default(),
            dead: super::held::Room::default(),
            limits: RoomLimits { events: 0, bytes: 0 },
            pause: None,
            removed_for_ms: 0,
            begun: BTreeMap::new(),
            reached_ms: None,
            changed: true,
            changed_held: BTreeSet::new(),
            gone: Vec::new(),
        }
    }

    /// Returns the terms of a destination that the configuration names.
    fn wanted(&self, wanted: &Wanted) -> Terms {
        let is_same = self.fingerprint == wanted.fingerprint;
        let lifecycle = match self.lifecycle {
            Lifecycle::Removed { .. } => Lifecycle::Active,
            Lifecycle::Disabled if !is_same => Lifecycle::Active,
            unchanged => unchanged,
        };
        Terms {
            name: wanted.name.clone(),
            fingerprint: wanted.fingerprint.clone(),
            lifecycle,
            // Another target never asked for it.
            pause: self.pause.filter(|_| is_same),
        }
    }

    /// Returns the terms of a destination that the configuration does not name.
    fn unwanted(&self, now_ms: i64) -> Terms {
        let lifecycle = match self.lifecycle {
            removed @ Lifecycle::Removed { .. } => removed,
            Lifecycle::Active | Lifecycle::Disabled => Lifecycle::Removed { at_ms: now_ms },
        };
        let (name, fingerprint) = (self.name.clone(), self.fingerprint.clone());
        Terms { name, fingerprint, lifecycle, pause: self.pause }
    }

    /// Applies the terms of a new configuration.
    fn agree(&mut self, terms: Terms, configured: &mut Configured) {
        let told = match (self.lifecycle, terms.lifecycle) {
            (Lifecycle::Removed { .. }, Lifecycle::Active) => Some(&mut configured.resumed),
            (Lifecycle::Disabled, Lifecycle::Active) => Some(&mut configured.enabled),
            (Lifecycle::Active | Lifecycle::Disabled, Lifecycle::Removed { .. }) => {
                Some(&mut configured.removed)
            }
            _ => None,
        };
        if let Some(names) = told {
            names.push(terms.name.clone());
        }
        let Terms { name, fingerprint, lifecycle, pause } = terms;
        if lifecycle != self.lifecycle {
            self.removed_for_ms = 0;
        }
        self.changed |= self.name != name
            || self.fingerprint != fingerprint
            || self.lifecycle != lifecycle
            || self.pause != pause;
        (self.name, self.fingerprint, self.lifecycle, self.pause) = (name, fingerprint, lifecycle, pause);
    }
}
