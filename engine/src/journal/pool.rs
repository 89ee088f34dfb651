//! The files that segments are made of. A new file is zeroed, and it and the folder synced, before its
//! first use, in the background where possible; a freed one is used again as it is, for its next
//! header's salt makes every old frame in it unreadable.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::disk::{Disk, DiskFile};
use super::segment::Segment;

/// Files kept for the next uses; more than one, so that a burst does not wait for the disk to zero.
const SPARES: usize = 2;

/// Returns the name of the file in a slot.
pub(super) fn file_name(slot: u32) -> String {
    format!("{slot:06}.seg")
}

/// Returns the slot of a file's name.
pub(super) fn slot(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".seg").filter(|digits| digits.len() >= 6)?;
    digits.parse().ok().filter(|slot| file_name(*slot) == name)
}

/// The reason for which there is no file for a new segment.
#[derive(Debug, thiserror::Error)]
pub(super) enum PoolError {
    /// The journal has its maximum size, or the disk is full.
    #[error("no space for another segment")]
    Full,
    /// A file cannot be made, written or synced.
    #[error("cannot prepare a segment")]
    Disk(#[source] io::Error),
}

impl From<io::Error> for PoolError {
    fn from(error: io::Error) -> Self {
        if is_full(&error) { Self::Full } else { Self::Disk(error) }
    }
}

/// Returns whether an operation failed because there is no space.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// All files that are not part of a live segment.
pub(super) struct Pool {
    disk: Arc<dyn Disk>,
    segment_size: u64,
    max_size: u64,
    files: Mutex<Files>,
    /// Bytes of files that others keep beside the segments.
    beside: OnceLock<Arc<AtomicU64>>,
    /// Lock that is held while a file is zeroed, so that a writer that needs a file waits for it.
    preparing: Mutex<()>,
}

/// Content of the folder.
#[derive(Default)]
pub(super) struct Files {
    /// Files to be used next, the ones freed first in front. The rest is then next to the live segments, and a journal
    /// that is opened again without its state finds no gap.
    pub(super) ready: VecDeque<String>,
    /// Files to be removed.
    pub(super) doomed: Vec<(String, u64)>,
    /// Bytes of all segment files, live ones too.
    pub(super) size: u64,
    pub(super) next_slot: u32,
}

impl Pool {
    pub(super) fn new(disk: Arc<dyn Disk>, segment_size: u64, max_size: u64, files: Files) -> Self {
        Self {
            disk,
            segment_size,
            max_size,
            files: Mutex::new(files),
            beside: OnceLock::new(),
            preparing: Mutex::new(()),
        }
    }

    /// Bytes of every file that is made.
    pub(super) fn segment_size(&self) -> u64 {
        self.segment_size
    }

    /// Takes a file of the right size whose every byte is synced.
    pub(super) fn take(&self) -> Result<(String, Arc<dyn DiskFile>), PoolError> {
        self.prepare(1)?;
        let name = self.files().ready.pop_front().ok_or(PoolError::Full)?;
        match self.disk.open(&name) {
            Ok(file) => Ok((name, file)),
            Err(error) => {
                self.discard(name);
                Err(error.into())
            }
        }
    }

    /// Counts these bytes against the size, too.
    pub(super) fn count_beside(&self, bytes: Arc<AtomicU64>) {
        // There is one who keeps such files.
        let _ = self.beside.set(bytes);
    }

    fn beside(&self) -> u64 {
        self.beside.get().map_or(0, |bytes| bytes.load(Ordering::Relaxed))
    }

    /// Returns whether [`Pool::take`] would not have to write.
    pub(super) fn is_ready(&self) -> bool {
        !self.files().ready.is_empty()
    }

    /// Makes new files until `count` are ready.
    pub(super) fn prepare(&self, count: usize) -> Result<(), PoolError> {
        if self.files().ready.len() >= count {
            return Ok(());
        }
        let _one_at_a_time = self.preparing.lock().unwrap_or_else(PoisonError::into_inner);
        while self.files().ready.len() < count {
            self.prepare_one()?;
        }
        Ok(())
    }

    fn prepare_one(&self) -> Result<(), PoolError> {
        self.remove_doomed();
        let name = {
            let mut files = self.files();
            if files.size + self.beside() + self.segment_size > self.max_size {
                return Err(PoolError::Full);
            }
            files.next_slot += 1;
            files.size += self.segment_size;
            file_name(files.next_slot - 1)
        };
        let created = self.create(&name);
        let Ok(file) = created else {
            // There is no such file, or it is not ours to remove.
            let mut files = self.files();
            files.size = files.size.saturating_sub(self.segment_size);
            return created.map(drop);
        };
        if let Err(error) = self.zero(&*file) {
            self.discard(name);
            return Err(error.into());
        }
        self.files().ready.push_front(name);
        Ok(())
    }

    fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>, PoolError> {
        if self.disk.available_space()? < self.segment_size {
            return Err(PoolError::Full);
        }
        Ok(self.disk.create(name)?)
    }

    fn zero(&self, file: &dyn DiskFile) -> io::Result<()> {
        file.write_zeroes(self.segment_size)?;
        file.sync_data()?;
        self.disk.sync_dir()
    }

    /// Takes in what no reader needs any more, oldest first.
    pub(super) fn recycle(&self, freed: &[Arc<Segment>]) {
        let mut files = self.files();
        for segment in freed {
            if segment.is_poisoned() || segment.size != self.segment_size {
                files.doomed.push((segment.file_name.clone(), segment.size));
            } else {
                files.ready.push_back(segment.file_name.clone());
            }
        }
        // The files beside them have grown meanwhile, and both together have one size.
        let is_over = |files: &Files| {
            let doomed: u64 = files.doomed.iter().map(|(_, size)| size).sum();
            files.size - doomed.min(files.size) + self.beside() > self.max_size
        };
        while files.ready.len() > SPARES || (!files.ready.is_empty() && is_over(&files)) {
            let surplus = files.ready.pop_front();
            files.doomed.extend(surplus.map(|name| (name, self.segment_size)));
        }
    }

    /// Discards a file of the journal that cannot be used.
    pub(super) fn discard(&self, name: String) {
        self.files().doomed.push((name, self.segment_size));
        self.remove_doomed();
    }

    /// Removes what is not wanted; what cannot be removed goes on counting.
    pub(super) fn remove_doomed(&self) {
        let doomed = std::mem::take(&mut self.files().doomed);
        for (name, size) in doomed {
            match self.disk.remove(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::debug!(file = name, error = %error, "segment file cannot be removed");
                    self.files().doomed.push((name, size));
                }
                _ => {
                    let mut files = self.files();
                    files.size = files.size.saturating_sub(size);
                }
            }
        }
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_we_would_give_are_ours() {
        for number in [0, 7, 999_999, 1_000_000] {
            assert_eq!(slot(&file_name(number)), Some(number));
        }
        for name in ["7.seg", "0000007.seg", "000007.seg.bak", "+00007.seg", "state.db", ".seg", ""] {
            assert_eq!(slot(name), None, "{name}");
        }
    }
}
