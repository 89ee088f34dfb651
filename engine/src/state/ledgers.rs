//! Every destination's ledger, and the way between them and the state file.
//!
//! Changes are collected by row: [`Ledgers::take_batch`] writes what the rows are at that moment, and a
//! batch that failed is only marked as changed again. One batch is out at a time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::batch::{Batch, HeldRow};
use super::held::HeldKind;
use super::ledger::Ledger;
use super::limits::RoomLimits;
use super::status::{DestinationStatus, Lifecycle};
use super::{Accepted, DestinationId, Seq};

/// The ledgers of all destinations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledgers {
    pub(super) by_id: BTreeMap<DestinationId, Ledger>,
    /// Ledgers whose destination is not known yet: their row was unreadable.
    pub(super) lost: Vec<DestinationId>,
    /// Set while nothing was ever committed: the file may have replaced one that knew destinations.
    pub(super) fresh: bool,
    /// Events the journal has let go of that a forgotten destination may have held.
    pub(super) unaccounted: u64,
    /// The sequence before the oldest event that the journal had when the ledgers were opened.
    pub(super) before_oldest: Seq,
    pub(super) next_id: u32,
    pub(super) next_row: i64,
    pub(super) reserve: u64,
    /// Keys to delete that belong to no ledger any more.
    pub(super) gone: Vec<i64>,
    /// Destinations whose deletion is not committed, with the cursor that still holds the journal.
    pub(super) expired: BTreeMap<DestinationId, Expiry>,
    pub(super) batch_is_out: bool,
    /// Set while a configuration is being written to the file. Until it is there, or given up, nothing expires.
    pub(super) is_planned: bool,
    /// The highest synced sequence of the journal that is known here.
    pub(super) watermark: Seq,
    /// The watermark of the last commit; `None`: there was no commit since the file was opened.
    pub(super) committed_watermark: Option<Seq>,
}

/// A destination on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expiry {
    committed_cursor: Seq,
    in_batch: bool,
}

/// A destination that was forgotten because it had been removed for long enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Its key; dispatchers that still use it find no ledger.
    pub id: DestinationId,
    /// Name of the destination.
    pub name: String,
    /// Pending events that were dropped with it.
    pub dropped: u64,
    /// Dead letters that were thrown away with it.
    pub dead_letters: u64,
}

impl Ledgers {
    /// Returns the ledger of one destination.
    pub fn get(&self, id: DestinationId) -> Option<&Ledger> {
        self.by_id.get(&id)
    }

    /// Returns the ledger of one destination, to be changed.
    pub fn get_mut(&mut self, id: DestinationId) -> Option<&mut Ledger> {
        self.by_id.get_mut(&id)
    }

    /// Finds the destination of this name, removed ones included.
    pub fn find(&self, name: &str) -> Option<&Ledger> {
        self.by_id.values().find(|ledger| ledger.name == name)
    }

    /// Returns every destination, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Ledger> {
        self.by_id.values()
    }

    /// Forgets destinations that have been removed for at least `retain_ms`, and drops the events that they had. Those
    /// that the active configuration names stay. `elapsed_ms` is the time since the last call, by a monotonic clock: a
    /// change of the wall clock makes no event older.
    pub fn expire(
        &mut self,
        retain_ms: u64,
        elapsed_ms: u64,
        in_force: &BTreeSet<&str>,
        journal: &dyn Accepted,
    ) -> Vec<Expired> {
        if self.is_planned {
            return Vec::new();
        }
        let is_due = |ledger: &Ledger| match ledger.lifecycle {
            Lifecycle::Removed { .. } => {
                ledger.removed_for_ms >= retain_ms && !in_force.contains(&*ledger.name)
            }
            Lifecycle::Active | Lifecycle::Disabled => false,
        };
        self.by_id.values_mut().for_each(|ledger| ledger.grow_older(elapsed_ms));
        let ids: Vec<_> = self.by_id.values().filter(|ledger| is_due(ledger)).map(Ledger::id).collect();
        let mut expired = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(mut ledger) = self.by_id.remove(&id) else { continue };
            let dead_letters = ledger.discard_dead_letters(super::Select::All);
            let dropped = ledger.discard(Seq::MAX, journal);
            self.gone.append(&mut ledger.gone);
            let expiry = Expiry { committed_cursor: ledger.committed_cursor, in_batch: false };
            self.expired.insert(id, expiry);
            expired.push(Expired { id, name: ledger.name, dropped, dead_letters });
        }
        self.share_reserve();
        expired
    }

    /// Records that the journal has synced everything up to here. It is stored, so that a later loss is noticed.
    pub fn saw(&mut self, watermark: Seq) {
        self.watermark = self.watermark.max(watermark);
    }

    /// Returns whether a batch would have anything to write. The first one always has: it shows early whether the file
    /// can be written at all.
    pub fn changed(&self) -> bool {
        self.committed_watermark.is_none_or(|committed| committed < self.watermark)
            || !self.gone.is_empty()
            || self.expired.values().any(|expiry| !expiry.in_batch)
            || self.by_id.values().any(|ledger| ledger.changed)
    }

    /// Returns the changes since the last batch; `None` if there are none or that batch is still out. Hand it to
    /// [`Ledgers::committed`] or [`Ledgers::failed`].
    pub fn take_batch(&mut self) -> Option<Batch> {
        if self.changed() { self.take_whole_batch() } else { None }
    }

    /// Takes a batch, even if nothing changed.
    pub(super) fn take_whole_batch(&mut self) -> Option<Batch> {
        if std::mem::replace(&mut self.batch_is_out, true) {
            return None;
        }
        let (gone, watermark) = (std::mem::take(&mut self.gone), self.watermark);
        let mut batch = Batch { gone, watermark, ..Batch::default() };
        for (id, expiry) in &mut self.expired {
            batch.expired.push(*id);
            expiry.in_batch = true;
        }
        for ledger in self.by_id.values_mut() {
            ledger.changed = false;
            batch.gone.append(&mut ledger.gone);
            batch.destinations.push(ledger.to_row());
            for seq in std::mem::take(&mut ledger.changed_held) {
                batch.held.extend(held_row(ledger, seq, &mut self.next_row));
            }
        }
        Some(batch)
    }

    /// Records that the batch is in the file. Returns the sequence up to which the journal can be freed.
    pub fn committed(&mut self, batch: &Batch) -> Option<Seq> {
        self.batch_is_out = false;
        self.committed_watermark = Some(batch.watermark);
        for id in &batch.expired {
            self.expired.remove(id);
        }
        for row in &batch.destinations {
            if let Some(ledger) = self.by_id.get_mut(&row.id) {
                ledger.committed_cursor = row.cursor;
            }
        }
        for row in batch.held.iter().filter(|row| row.record.is_some()) {
            let Some(ledger) = self.by_id.get_mut(&row.destination) else { continue };
            for room in [&mut ledger.waiting, &mut ledger.dead] {
                if let Some(held) = room.get_mut(row.seq) {
                    held.unsaved = None;
                }
            }
        }
        self.lowest_committed_cursor()
    }

    /// Records that the batch is not in the file: its rows are written with the next.
    pub fn failed(&mut self, batch: Batch) {
        self.batch_is_out = false;
        self.gone.extend(batch.gone);
        for id in batch.expired {
            if let Some(expiry) = self.expired.get_mut(&id) {
                expiry.in_batch = false;
            }
        }
        for ledger in self.by_id.values_mut() {
            ledger.changed = true;
        }
        for row in batch.held {
            if let Some(ledger) = self.by_id.get_mut(&row.destination)
                && (ledger.waiting.get(row.seq).is_some() || ledger.dead.get(row.seq).is_some())
            {
                ledger.changed_held.insert(row.seq);
            }
        }
    }

    /// Returns the sequence up to which every event is finished or held for every destination, in the file: the journal
    /// may free it. `None` without destinations, which need nothing.
    pub fn lowest_committed_cursor(&self) -> Option<Seq> {
        let staying = self.by_id.values().map(|ledger| ledger.committed_cursor);
        staying.chain(self.expired.values().map(|expiry| expiry.committed_cursor)).min()
    }

    /// Returns the destination whose undelivered events keep the oldest segment of the journal from being used again.
    /// Of several that stand at the same event it is the one with the most undelivered events. `None` if the journal
    /// holds nothing that is undelivered.
    pub fn holder_of_oldest(&self, journal: &dyn Accepted) -> Option<&Ledger> {
        let holding = self.by_id.values().filter(|ledger| ledger.unread(journal) > 0);
        holding.min_by_key(|ledger| (ledger.read_from(), Reverse(ledger.unread(journal))))
    }

    /// Returns the sum of promise 2 for each destination, all at one moment.
    pub fn snapshot(&self, journal: &dyn Accepted) -> Vec<DestinationStatus> {
        self.by_id.values().map(|ledger| ledger.status(journal)).collect()
    }

    /// Gives every room its part of the reserve.
    pub(super) fn share_reserve(&mut self) {
        let limits = RoomLimits::share(self.reserve, self.by_id.len());
        for ledger in self.by_id.values_mut() {
            ledger.limits = limits;
        }
    }
}

/// Returns the row of a held event as it is now; `None` if it is not held any more.
fn held_row(ledger: &mut Ledger, seq: Seq, next_row: &mut i64) -> Option<HeldRow> {
    let destination = ledger.id;
    let (kind, held) = match ledger.waiting.get_mut(seq) {
        Some(held) => (HeldKind::Waiting, held),
        None => (HeldKind::Dead, ledger.dead.get_mut(seq)?),
    };
    let row = *held.row.get_or_insert_with(|| {
        *next_row += 1;
        *next_row - 1
    });
    Some(HeldRow {
        row,
        destination,
        seq,
        kind,
        attempts: held.attempts,
        at_ms: held.at_ms,
        delay_ms: held.delay_ms,
        received_at_ms: held.received_at_ms,
        note: held.note.clone(),
        size: held.size,
        checksum: held.checksum,
        record: held.unsaved.clone(),
    })
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
