//! From the rows of the file to ledgers that hold: whatever is missing or unreadable is counted as
//! damaged, exactly once, and whatever was forgotten begins again at the oldest event of the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::batch::{DestinationRow, HeldRow};
use super::held::{Held, HeldKind};
use super::ledger::Ledger;
use super::ledgers::Ledgers;
use super::seen::SeenPage;
use super::status::Lifecycle;
use super::window::{Covered, Window};
use super::{Accepted, DestinationId, Seq};

/// The content of the state file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Nothing was ever committed to this file: it is new, or took the place of a lost one.
    pub fresh: bool,
    /// `held` may lack what destinations held that are forgotten, too.
    pub held_forgotten: bool,
    /// A file that could not be read any more, and was renamed to this.
    pub set_aside: Option<PathBuf>,
    /// Destinations whose row is whole, with its window decoded.
    pub destinations: Vec<(DestinationRow, Window)>,
    /// Destinations whose row is not.
    pub lost: Vec<LostDestination>,
    /// Waiting events and dead letters whose row is whole, without their records.
    pub held: Vec<HeldRow>,
    /// Keys of rows that are not: they are deleted, and missing in their destination's count.
    pub unreadable: Vec<i64>,
    /// Ids of accepted events, as far as their rows are whole.
    pub seen: Vec<SeenPage>,
    /// The sequence up to which these are all the ids of the journal.
    pub seen_through: Seq,
    /// The journal's watermark at the last commit.
    pub watermark: Seq,
    /// The steady clock's time at the last commit, in milliseconds.
    pub steady_ms: u64,
}

/// A destination whose row is unreadable.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LostDestination {
    /// Id of the destination.
    pub id: DestinationId,
    /// Its name, as far as it can be told.
    pub name: String,
    /// Its target, as far as it can be told.
    pub fingerprint: String,
}

impl Loaded {
    /// Returns the highest sequence that the file knows of: the journal goes on above it.
    pub fn max_seq(&self) -> Seq {
        let windows = self.destinations.iter().map(|(_, window)| window.last());
        windows.chain(self.held.iter().map(|row| row.seq)).fold(self.watermark, Seq::max)
    }
}

/// The faults of the state when it was opened; empty if there were none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// The journal has taken events, and the file forgot destinations: those begin again at its oldest event.
    pub forgot: bool,
    /// Destinations that begin again at the oldest event: deliveries repeat.
    pub restarted: Vec<String>,
    /// Events that were counted as damaged, by destination: their row was unreadable or missing, or the
    /// journal had let go of them.
    pub damaged: Vec<(String, u64)>,
}

impl Ledgers {
    /// Opens the ledgers of a file, fitted to a journal whose oldest readable sequence is `oldest`. `reserve` is the
    /// number of bytes that the state may use on disk.
    pub fn open(
        loaded: Loaded,
        reserve: u64,
        oldest: Seq,
        now_ms: i64,
        journal: &dyn Accepted,
    ) -> (Self, Repairs) {
        let before_oldest = oldest.saturating_sub(1);
        // Before anything is accepted, the destinations are committed.
        let forgot = loaded.fresh && journal.watermark() > 0;
        let mut repairs = Repairs { forgot, ..Repairs::default() };
        let freed = journal.accepted_through(before_oldest);
        let mut ledgers = Self {
            by_id: BTreeMap::new(),
            lost: Vec::new(),
            fresh: loaded.fresh,
            unaccounted: if loaded.fresh && loaded.held_forgotten { freed } else { 0 },
            before_oldest,
            next_id: 1,
            next_row: loaded.held.iter().map(|row| row.row).max().unwrap_or(0) + 1,
            reserve,
            gone: loaded.unreadable,
            expired: BTreeMap::new(),
            batch_is_out: false,
            is_planned: false,
            watermark: loaded.watermark,
            committed_watermark: None,
        };
        let mut counts = BTreeMap::new();
        for (row, window) in loaded.destinations {
            counts.insert(row.id, (row.waiting, row.dead_lettered));
            ledgers.by_id.insert(row.id, Ledger::from_row(row, window));
        }
        let mut lost = loaded.lost;
        let orphans: BTreeSet<_> = loaded.held.iter().map(|row| row.destination).collect();
        lost.extend(orphans.into_iter().map(|id| LostDestination { id, ..LostDestination::default() }));
        for destination in lost {
            if !ledgers.by_id.contains_key(&destination.id) {
                let name = ledgers.restart(destination, before_oldest, now_ms, journal);
                repairs.restarted.push(name);
            }
        }
        for row in loaded.held {
            if let Some(ledger) = ledgers.by_id.get_mut(&row.destination) {
                ledger.take_in(row);
            }
        }
        for ledger in ledgers.by_id.values_mut() {
            ledger.reached_ms = Some(now_ms);
            let (waiting, dead) = counts.get(&ledger.id).copied().unwrap_or_default();
            let damaged = ledger.count_missing(waiting, dead) + ledger.catch_up(before_oldest, journal);
            if damaged > 0 {
                repairs.damaged.push((ledger.name.clone(), damaged));
            }
        }
        ledgers.next_id = ledgers.by_id.keys().map(|id| id.0.saturating_add(1)).max().unwrap_or(1);
        ledgers.share_reserve();
        (ledgers, repairs)
    }

    /// Restarts a destination whose row was lost: it keeps the events that it holds, and begins again at the oldest
    /// event. It counts as removed until the configuration knows it by name or target.
    fn restart(
        &mut self,
        lost: LostDestination,
        before_oldest: Seq,
        now_ms: i64,
        journal: &dyn Accepted,
    ) -> String {
        let taken = lost.name.is_empty() || self.find(&lost.name).is_some();
        let name = if taken { format!("{}lost-{}", lost.name, lost.id.0) } else { lost.name };
        let accepted = journal.accepted_through(before_oldest).cast_signed();
        let mut ledger = Ledger::new(lost.id, name.clone(), Window::new(before_oldest), accepted);
        ledger.fingerprint = lost.fingerprint;
        ledger.lifecycle = Lifecycle::Removed { at_ms: now_ms };
        self.by_id.insert(lost.id, ledger);
        self.lost.push(lost.id);
        name
    }
}

impl Ledger {
    fn from_row(row: DestinationRow, window: Window) -> Self {
        let mut ledger = Self::new(row.id, row.name, window, row.accepted_at_creation);
        ledger.fingerprint = row.fingerprint;
        ledger.lifecycle = row.lifecycle;
        ledger.pause = row.pause;
        ledger.removed_for_ms = row.removed_for_ms;
        ledger.delivered = row.delivered;
        ledger.dropped = row.dropped;
        ledger.filtered = row.filtered;
        ledger.damaged = row.damaged;
        ledger.changed = false;
        ledger
    }

    /// Holds an event of the file. A ledger that begins again does not know it yet, and must not read it a
    /// second time from the journal.
    fn take_in(&mut self, row: HeldRow) {
        if self.waiting.get(row.seq).is_some() || self.dead.get(row.seq).is_some() {
            self.gone.push(row.row);
            return;
        }
        if self.window.needs(row.seq) {
            self.window.cover(row.seq, row.seq, Covered::Events);
        }
        let room = match row.kind {
            HeldKind::Waiting => &mut self.waiting,
            HeldKind::Dead => &mut self.dead,
        };
        room.insert(row.seq, Held::from_row(row));
    }

    /// Counts held events whose row is unreadable or gone.
    fn count_missing(&mut self, waiting: u64, dead: u64) -> u64 {
        let missing = waiting.saturating_sub(self.waiting.len()) + dead.saturating_sub(self.dead.len());
        self.damaged += missing;
        self.changed |= missing > 0;
        missing
    }

    /// Passes over what the journal does not have any more although it was not finished here, as after an older
    /// state file came back. How many events those were, the counters tell: voids are not among them.
    fn catch_up(&mut self, before_oldest: Seq, journal: &dyn Accepted) -> u64 {
        if self.window.cursor() > before_oldest {
            return 0;
        }
        self.window.cover(self.window.cursor() + 1, before_oldest, Covered::Events);
        let ended = self.delivered + self.dropped + self.filtered + self.damaged;
        let counted = ended + self.waiting.len() + self.dead.len();
        let finished = (counted - self.window.events_above().min(counted)).cast_signed();
        let accepted = journal.accepted_through(self.window.cursor()).cast_signed();
        let gap = accepted - self.accepted_at_creation - finished;
        if gap < 0 {
            // More is known here than was accepted: what a ledger that begins again holds from before, or the
            // journal counts anew, for its files were lost, and with them what nobody can count.
            self.accepted_at_creation += gap;
        }
        let damaged = u64::try_from(gap).unwrap_or(0);
        self.damaged += damaged;
        self.changed |= gap != 0;
        damaged
    }
}
