//! The files and folders of a [`super::FaultyDisk`], with their changes and faults.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    path::Path,
};

use fuser::Errno;

use super::{Call, Errno as Failure, Fault, Files};

/// Size in bytes of the unit that is readable or not.
const PAGE: usize = 4096;
/// Number of the root folder, by convention.
pub(super) const ROOT: u64 = 1;

/// Content and faults of the disk.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: BTreeMap<u64, Node>,
    next: u64,
    pub(super) fault: Option<Fault>,
    /// Pages that cannot be read, by the names of their files.
    pub(super) unreadable: BTreeSet<(OsString, u64)>,
    pub(super) failures: u64,
    pub(super) touched_again: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Node {
    /// Name in its folder, or the last one that it had.
    pub(super) name: OsString,
    pub(super) mode: u32,
    pub(super) kind: Kind,
    pub(super) is_linked: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
    Folder(BTreeMap<OsString, u64>),
    File(Content),
    Socket,
}

/// Bytes of a file.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Content that programs see.
    pub(super) current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// The last call that failed; `None` if none did.
    failed: Option<Call>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Default for Tree {
    fn default() -> Self {
        let folder = Kind::Folder(BTreeMap::new());
        let root = Node { name: "".into(), mode: 0o755, kind: folder, is_linked: true };
        let nodes = BTreeMap::from([(ROOT, root)]);
        let (unreadable, touched_again) = (BTreeSet::new(), Vec::new());
        Self { nodes, next: ROOT + 1, fault: None, unreadable, failures: 0, touched_again }
    }
}

impl Tree {
    pub(super) fn folder(&mut self, number: u64) -> Result<&mut BTreeMap<OsString, u64>, Errno> {
        match self.nodes.get_mut(&number).map(|node| &mut node.kind) {
            Some(Kind::Folder(entries)) => Ok(entries),
            Some(_) => Err(Errno::ENOTDIR),
            None => Err(Errno::ENOENT),
        }
    }

    pub(super) fn content(&mut self, number: u64) -> Result<&mut Content, Errno> {
        match self.nodes.get_mut(&number).map(|node| &mut node.kind) {
            Some(Kind::File(content)) => Ok(content),
            _ => Err(Errno::EINVAL),
        }
    }

    pub(super) fn lookup(&mut self, parent: u64, name: &OsStr) -> Result<u64, Errno> {
        self.folder(parent)?.get(name).copied().ok_or(Errno::ENOENT)
    }

    pub(super) fn add(&mut self, parent: u64, name: &OsStr, mode: u32, kind: Kind) -> Result<u64, Errno> {
        if self.folder(parent)?.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        if matches!(kind, Kind::File(_)) {
            self.check(name, Call::Open)?;
        }
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, Node { name: name.into(), mode, kind, is_linked: true });
        self.folder(parent)?.insert(name.into(), number);
        Ok(number)
    }

    pub(super) fn remove(&mut self, parent: u64, name: &OsStr) -> Result<(), Errno> {
        let number = self.folder(parent)?.remove(name).ok_or(Errno::ENOENT)?;
        // Whoever has it open goes on.
        self.nodes.get_mut(&number).into_iter().for_each(|node| node.is_linked = false);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr)) -> Result<(), Errno> {
        let number = self.lookup(from.0, from.1)?;
        let _ = self.remove(to.0, to.1);
        self.folder(from.0)?.remove(from.1);
        self.folder(to.0)?.insert(to.1.into(), number);
        self.nodes.get_mut(&number).into_iter().for_each(|node| node.name = to.1.into());
        Ok(())
    }

    pub(super) fn open(&mut self, number: u64) -> Result<OsString, Errno> {
        let name = self.name(number)?;
        self.check(&name, Call::Open)?;
        Ok(name)
    }

    /// Returns the bytes at `offset`, unless one of their pages is lost.
    pub(super) fn read(&mut self, number: u64, offset: usize, size: usize) -> Result<&[u8], Errno> {
        let name = self.name(number)?;
        let (first, last) = (offset / PAGE, (offset + size.max(1) - 1) / PAGE);
        let range = (name.clone(), first as u64)..=(name, last as u64);
        if self.unreadable.range(range).next().is_some() {
            self.failures += 1;
            return Err(Errno::EIO);
        }
        let current = &self.content(number)?.current;
        let from = offset.min(current.len());
        Ok(&current[from..(from + size).min(current.len())])
    }

    pub(super) fn write(&mut self, number: u64, offset: usize, bytes: &[u8]) -> Result<(), Errno> {
        let outcome = self.begin(number, Call::Write);
        let written = if outcome.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        self.content(number)?.change(Change::Write(offset, written.to_vec()));
        outcome
    }

    pub(super) fn truncate(&mut self, number: u64, size: usize) -> Result<(), Errno> {
        self.begin(number, Call::Write)?;
        self.content(number)?.change(Change::Truncate(size));
        Ok(())
    }

    pub(super) fn sync(&mut self, number: u64) -> Result<(), Errno> {
        let outcome = self.begin(number, Call::Sync);
        let content = self.content(number)?;
        let kept = if outcome.is_ok() { content.pending.len() } else { content.pending.len() / 2 };
        for change in std::mem::take(&mut content.pending).into_iter().take(kept) {
            change.apply(&mut content.durable);
        }
        if outcome.is_err() {
            content.current.clone_from(&content.durable);
        }
        outcome
    }

    /// Names are always durable here: what an unsynced folder loses, the simulated disk of the journal shows.
    pub(super) fn sync_folder(&mut self, number: u64) -> Result<(), Errno> {
        let is_journal = self.name(number)? == "journal";
        if is_journal { self.check(OsStr::new("folder.seg"), Call::Sync) } else { Ok(()) }
    }

    pub(super) fn cut_power(&mut self) {
        for node in self.nodes.values_mut() {
            if let Kind::File(content) = &mut node.kind {
                content.current.clone_from(&content.durable);
                content.pending.clear();
                content.failed = None;
            }
        }
    }

    fn name(&self, number: u64) -> Result<OsString, Errno> {
        self.nodes.get(&number).map(|node| node.name.clone()).ok_or(Errno::ENOENT)
    }

    /// Returns the error of a write or sync that has to fail, and notes a segment that is touched after a failure.
    fn begin(&mut self, number: u64, call: Call) -> Result<(), Errno> {
        let name = self.name(number)?;
        let failed = self.content(number)?.failed;
        // A write that fails in its second half is reported as a short one, and tried again to hear the error.
        let is_same_write = failed == Some(Call::Write) && call == Call::Write;
        if files(&name) == Some(Files::Journal) && failed.is_some() && !is_same_write {
            self.touched_again.push(format!("{call:?} of {} after {failed:?}", name.display()));
        }
        let outcome = self.check(&name, call);
        if outcome.is_err() {
            self.content(number)?.failed = Some(call);
        }
        outcome
    }

    fn check(&mut self, name: &OsStr, call: Call) -> Result<(), Errno> {
        let Some(fault) = self.fault else { return Ok(()) };
        if files(name) != Some(fault.files) || call != fault.call {
            return Ok(());
        }
        self.failures += 1;
        Err(match fault.errno {
            Failure::Io => Errno::EIO,
            Failure::Full => Errno::ENOSPC,
        })
    }
}

impl Content {
    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.current);
        self.pending.push(change);
    }
}

impl Change {
    fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Truncate(size) => bytes.resize(size, 0),
            Self::Write(offset, written) => {
                let end = offset + written.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[offset..end].copy_from_slice(&written);
            }
        }
    }
}

fn files(name: &OsStr) -> Option<Files> {
    if Path::new(name).extension() == Some(OsStr::new("seg")) {
        return Some(Files::Journal);
    }
    let name = name.to_str()?;
    // The index of the write-ahead log is memory that happens to be a file.
    (name.starts_with("state.db") && !name.ends_with("-shm")).then_some(Files::State)
}
