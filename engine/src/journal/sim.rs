//! A disk in memory that does what real ones do when it matters: it keeps what is written and what is
//! synced apart, loses power with any part of the rest, fails, and fills up.

pub mod crashes;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::{Rng, RngExt};

use super::disk::{Disk, DiskFile};

/// Unit that a power cut leaves whole or loses.
const SECTOR: usize = 512;
/// Unit that can be read or cannot, in bytes.
const PAGE: u64 = 4096;

/// One kind of operation on a [`SimDisk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A call of [`Disk::list`].
    List,
    /// A call of [`Disk::open`].
    Open,
    /// A call of [`Disk::create`].
    Create,
    /// A call of [`Disk::remove`].
    Remove,
    /// A call of [`Disk::sync_dir`].
    SyncDir,
    /// A call of [`DiskFile::read_at`].
    Read,
    /// A call of [`DiskFile::write_all_at`].
    Write,
    /// A call of [`DiskFile::sync_data`].
    Sync,
}

/// A folder in memory. Clones share it.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Default)]
struct State {
    files: BTreeMap<String, SimFile>,
    /// Names of files that a power cut leaves at least.
    durable_names: BTreeMap<String, u64>,
    contents: BTreeMap<u64, Content>,
    next_content: u64,
    capacity: Option<u64>,
    faults: Vec<Fault>,
    /// Pages of 4 KiB that cannot be read, of files by their content's number, and how many reads of each will fail.
    unreadable: BTreeMap<(u64, u64), u32>,
    /// Choice of the syncs that do nothing and report success; `None`: all syncs work.
    lie: Option<Lie>,
    operations: u64,
    power_off_at: Option<u64>,
}

type SimFile = u64;

#[derive(Clone, Default)]
struct Content {
    /// Bytes that programs see.
    current: Vec<u8>,
    /// Bytes that are certainly on the disk.
    durable: Vec<u8>,
    /// Writes that are not synced: offset and bytes of each.
    pending: Vec<(u64, Vec<u8>)>,
    touched: u64,
}

/// Tells by what was written since the last one whether a sync is to be skipped; `None` is the folder's.
pub type Lie = fn(Option<&[(u64, Vec<u8>)]>) -> bool;

#[derive(Clone)]
struct Fault {
    operation: Operation,
    skip: u32,
    times: u32,
    kind: ErrorKind,
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    /// Makes an empty folder on a disk without a limit.
    pub fn new() -> Self {
        Self { state: Arc::default() }
    }

    /// Bounds the bytes of all files together.
    pub fn set_capacity(&self, capacity: Option<u64>) {
        self.state().capacity = capacity;
    }

    /// Makes `times` operations of this kind fail, after `skip` of them. A failed write may have written half. After a
    /// failed sync the unsynced bytes are never synced, although they can still be read.
    pub fn fail(&self, operation: Operation, skip: u32, times: u32, kind: ErrorKind) {
        self.state().faults.push(Fault { operation, skip, times, kind });
    }

    /// Makes a page of 4 KiB of a file unreadable from now on, after every power cut too.
    pub fn lose_page(&self, name: &str, page: u64) {
        self.lose_page_for(name, page, u32::MAX);
    }

    /// Makes the next `reads` of a page fail.
    pub fn lose_page_for(&self, name: &str, page: u64, reads: u32) {
        let mut state = self.state();
        let id = state.files.get(name).copied();
        state.unreadable.extend(id.map(|id| ((id, page), reads)));
    }

    /// Makes every page readable again.
    pub fn find_pages(&self) {
        self.state().unreadable.clear();
    }

    /// Removes every fault that has not happened.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// Makes these syncs do nothing and report success, after every power cut too: to show that a test needs them.
    pub fn lie_about(&self, lie: Lie) {
        self.state().lie = Some(lie);
    }

    /// Returns the number of operations so far that may change something.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Returns the number of writes and syncs of a file so far, failed ones included.
    pub fn touched(&self, name: &str) -> Option<u64> {
        let state = self.state();
        Some(state.contents.get(state.files.get(name)?)?.touched)
    }

    /// Cuts the power after the next `operations` operations: all later ones fail and do nothing.
    pub fn power_off_after(&self, operations: u64) {
        let mut state = self.state();
        state.power_off_at = Some(state.operations + operations);
    }

    /// Returns whether the power is still on.
    pub fn has_power(&self) -> bool {
        self.state().has_power()
    }

    /// Returns the disk after a power cut now: it has everything synced, and of the rest what `rng` picks, sector by
    /// sector. The old disk stays as it is; files open on it do not see the new one.
    #[must_use]
    pub fn after_power_cut(&self, rng: &mut impl Rng) -> Self {
        let old = self.state().clone();
        let mut names = old.durable_names.clone();
        for (name, content) in &old.files {
            if !names.contains_key(name) && rng.random() {
                names.insert(name.clone(), *content);
            }
        }
        names.retain(|name, content| old.files.get(name) == Some(content) || rng.random());
        let contents: BTreeMap<u64, Content> = names
            .values()
            .filter_map(|content| Some((*content, old.contents.get(content)?.torn(rng))))
            .collect();
        let state = State {
            files: names.clone(),
            durable_names: names,
            contents,
            next_content: old.next_content,
            capacity: old.capacity,
            unreadable: old.unreadable,
            lie: old.lie,
            ..State::default()
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Returns the whole content of a file, as programs see it.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        Some(state.contents.get(state.files.get(name)?)?.current.clone())
    }

    /// Replaces a file, synced, without an operation of the journal; `None` removes it.
    pub fn set_content(&self, name: &str, bytes: Option<Vec<u8>>) {
        let mut state = self.state();
        let Some(bytes) = bytes else {
            state.files.remove(name);
            state.durable_names.remove(name);
            return;
        };
        let id = state.files.get(name).copied().unwrap_or_else(|| state.new_content());
        state.files.insert(name.to_owned(), id);
        state.durable_names.insert(name.to_owned(), id);
        let content = Content { current: bytes.clone(), durable: bytes, ..Content::default() };
        state.contents.insert(id, content);
    }

    /// Replaces a byte of a file, synced or not, by `rotten`. No power cut restores it.
    pub fn rot(&self, name: &str, offset: usize, rotten: u8) {
        let mut state = self.state();
        let Some(id) = state.files.get(name).copied() else { return };
        if let Some(content) = state.contents.get_mut(&id) {
            let Content { current, durable, pending, .. } = content;
            for bytes in [current, durable] {
                bytes.get_mut(offset).into_iter().for_each(|byte| *byte = rotten);
            }
            for (at, bytes) in pending {
                let within = offset.checked_sub(usize::try_from(*at).unwrap_or(usize::MAX));
                within.and_then(|at| bytes.get_mut(at)).into_iter().for_each(|byte| *byte = rotten);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn write(bytes: &mut Vec<u8>, offset: u64, written: &[u8]) {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = offset + written.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset..end].copy_from_slice(written);
    }

    /// Returns the synced bytes, and of every later write the sectors that `rng` picks.
    fn torn(&self, rng: &mut impl Rng) -> Self {
        let mut durable = self.durable.clone();
        // Now nothing, now all, mostly something between: each leaves other states behind.
        let kept = [0.0, 0.1, 0.5, 0.9, 1.0][rng.random_range(0..5)];
        for (offset, bytes) in &self.pending {
            let mut at = 0;
            while at < bytes.len() {
                let place = usize::try_from(*offset).unwrap_or(usize::MAX) + at;
                let len = (SECTOR - place % SECTOR).min(bytes.len() - at);
                if rng.random_bool(kept) {
                    Self::write(&mut durable, place as u64, &bytes[at..at + len]);
                }
                at += len;
            }
        }
        Self { current: durable.clone(), durable, ..Self::default() }
    }
}

impl State {
    fn new_content(&mut self) -> u64 {
        self.next_content += 1;
        self.next_content
    }

    /// Counts the operation, and says whether it fails.
    fn begin(&mut self, operation: Operation) -> Result<(), ErrorKind> {
        if !matches!(operation, Operation::List | Operation::Open | Operation::Read) {
            self.operations += 1;
        }
        if self.power_off_at.is_some_and(|at| self.operations > at) {
            return Err(ErrorKind::BrokenPipe);
        }
        let Some(at) = self.faults.iter().position(|fault| fault.operation == operation) else {
            return Ok(());
        };
        let fault = &mut self.faults[at];
        if fault.skip > 0 {
            fault.skip -= 1;
            return Ok(());
        }
        let kind = fault.kind;
        fault.times = fault.times.saturating_sub(1);
        if fault.times == 0 {
            self.faults.remove(at);
        }
        Err(kind)
    }

    fn has_power(&self) -> bool {
        self.power_off_at.is_none_or(|at| self.operations <= at)
    }

    fn used(&self) -> u64 {
        self.files
            .values()
            .filter_map(|id| self.contents.get(id))
            .map(|content| content.current.len() as u64)
            .sum()
    }
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.begin(Operation::List)?;
        Ok(state.files.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.begin(Operation::Open)?;
        let id = *state.files.get(name).ok_or(ErrorKind::NotFound)?;
        Ok(Arc::new(OpenFile { disk: self.clone(), id }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.begin(Operation::Create)?;
        if state.files.contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let id = state.new_content();
        state.files.insert(name.to_owned(), id);
        state.contents.insert(id, Content::default());
        Ok(Arc::new(OpenFile { disk: self.clone(), id }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.begin(Operation::Remove)?;
        state.files.remove(name).map(drop).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state();
        state.begin(Operation::SyncDir)?;
        if !state.lie.is_some_and(|lie| lie(None)) {
            state.durable_names = state.files.clone();
        }
        Ok(())
    }

    fn available_space(&self) -> io::Result<u64> {
        let state = self.state();
        Ok(state.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used())))
    }
}

struct OpenFile {
    disk: SimDisk,
    id: u64,
}

impl DiskFile for OpenFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        state.begin(Operation::Read)?;
        let last = offset + (buffer.len() as u64).max(1) - 1;
        let pages = (self.id, offset / PAGE)..=(self.id, last / PAGE);
        let mut failing = state.unreadable.range_mut(pages).filter(|(_, reads)| **reads > 0);
        if let Some((_, reads)) = failing.next() {
            *reads -= u32::from(*reads < u32::MAX);
            return Err(io::Error::other("sector cannot be read"));
        }
        let content = state.contents.get(&self.id).ok_or(ErrorKind::NotFound)?;
        let rest = usize::try_from(offset).ok().and_then(|from| content.current.get(from..)).unwrap_or(&[]);
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.contents.get_mut(&self.id).into_iter().for_each(|content| content.touched += 1);
        let mut outcome = state.begin(Operation::Write).map_err(io::Error::from);
        if !state.has_power() {
            return outcome;
        }
        let len = state.contents.get(&self.id).map_or(0, |content| content.current.len() as u64);
        let growth = (offset + bytes.len() as u64).saturating_sub(len);
        if growth > 0 && state.capacity.is_some_and(|capacity| state.used() + growth > capacity) {
            outcome = Err(ErrorKind::StorageFull.into());
        }
        let written = if outcome.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        if outcome.is_ok() || growth == 0 {
            let content = state.contents.get_mut(&self.id).ok_or(ErrorKind::NotFound)?;
            Content::write(&mut content.current, offset, written);
            content.pending.push((offset, written.to_vec()));
        }
        outcome
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.contents.get_mut(&self.id).into_iter().for_each(|content| content.touched += 1);
        let outcome = state.begin(Operation::Sync).map_err(io::Error::from);
        if !state.has_power() {
            return outcome;
        }
        let lie = state.lie;
        let content = state.contents.get_mut(&self.id).ok_or(ErrorKind::NotFound)?;
        if lie.is_some_and(|lie| lie(Some(&content.pending))) {
            return outcome;
        }
        // A failed sync does as on Linux: the pages are marked clean, and only the first to sync hears of
        // it; some of them are on the platter and the others never will be.
        let written = if outcome.is_ok() { content.pending.len() } else { content.pending.len() / 2 };
        let pending = std::mem::take(&mut content.pending);
        for (offset, bytes) in pending.into_iter().take(written) {
            Content::write(&mut content.durable, offset, &bytes);
        }
        outcome
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.disk.state();
        Ok(state.contents.get(&self.id).ok_or(ErrorKind::NotFound)?.current.len() as u64)
    }
}
