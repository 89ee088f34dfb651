//! A file system whose next write or sync can be made to fail.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::log::storage::{Extent, Files, Handle, Storage};

/// A fault from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Every operation of the storage works.
    #[default]
    None,
    /// Every write, after this many of its bytes have reached the file.
    Write(usize),
    /// Every sync of a file.
    Sync,
    /// Every sync of a folder.
    SyncDir,
    /// Nothing, but the file is removed before its next sync, as often as this.
    Remove(usize),
}

/// The real file system with a fault. Clones share it.
#[derive(Clone, Default)]
pub struct Faulty {
    fault: Arc<Mutex<Fault>>,
    opened: Arc<AtomicUsize>,
}

impl Faulty {
    /// Sets the fault of the following operations.
    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// Returns the number of times a file was opened.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

/// A file that panics when it is used after a failure, which would be a lie about durability.
pub struct FaultyHandle {
    file: File,
    path: PathBuf,
    fault: Arc<Mutex<Fault>>,
    failed: bool,
}

impl FaultyHandle {
    fn fault(&self) -> Fault {
        assert!(!self.failed, "a handle was used again after it had failed");
        *self.fault.lock().unwrap()
    }

    fn fail(&mut self, kind: ErrorKind) -> io::Result<()> {
        self.failed = true;
        Err(kind.into())
    }
}

impl Storage for Faulty {
    type Handle = FaultyHandle;

    fn open(&self, path: &Path) -> io::Result<(FaultyHandle, Extent)> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let (file, extent) = Files.open(path)?;
        let fault = self.fault.clone();
        Ok((FaultyHandle { file, path: path.to_owned(), fault, failed: false }, extent))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if *self.fault.lock().unwrap() == Fault::SyncDir {
            return Err(ErrorKind::Other.into());
        }
        Files.sync_dir(dir)
    }
}

impl Handle for FaultyHandle {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Fault::Write(written) = self.fault() else { return self.file.append(bytes) };
        self.file.append(&bytes[..written.min(bytes.len())])?;
        self.fail(ErrorKind::StorageFull)
    }

    fn sync(&mut self) -> io::Result<()> {
        match self.fault() {
            Fault::Sync => return self.fail(ErrorKind::Other),
            Fault::Remove(times) => {
                fs::remove_file(&self.path)?;
                let left = times - 1;
                *self.fault.lock().unwrap() = if left == 0 { Fault::None } else { Fault::Remove(left) };
            }
            Fault::None | Fault::Write(_) | Fault::SyncDir => {}
        }
        self.file.sync()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }

    fn last_byte(&mut self) -> io::Result<Option<u8>> {
        self.file.last_byte()
    }
}
