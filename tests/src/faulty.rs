//! A disk that fails to order: a file system in memory, mounted through FUSE, that tells what is written from what is
//! synced. A failed sync does what it does on Linux: part of what was written is on the disk, the rest is gone from
//! memory too, and the next sync knows nothing of it.
//!
//! It shares no code with the journal's simulated disk, which has the same rule: that one replaces a Rust trait and keeps
//! sectors of one folder, while the state file is written by `SQLite`, which only a mounted file system reaches.

mod serve;
mod tree;

use std::{
    ffi::OsString,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use fuser::{BackgroundSession, Config, MountOption};
use tempfile::TempDir;

use self::tree::Tree;

/// A mounted file system whose operations can fail.
#[derive(Debug)]
pub struct FaultyDisk {
    /// Session of the mount. It is dropped, and so unmounted, first.
    _session: BackgroundSession,
    tree: Arc<Mutex<Tree>>,
    folder: TempDir,
}

/// Group of files that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// Segments and their folder.
    Journal,
    /// The state file and what `SQLite` keeps beside it.
    State,
}

/// Operation of the file system that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Opening and creating a file.
    Open,
    /// Writing. Half of the bytes are written.
    Write,
    /// Syncing a file or a folder.
    Sync,
}

/// Error with which it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    /// `EIO`, an error of the disk.
    Io,
    /// `ENOSPC`, a full disk.
    Full,
}

/// Fault that is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Files whose operations fail.
    pub files: Files,
    /// Operation of the file system that fails.
    pub call: Call,
    /// Error with which it fails.
    pub errno: Errno,
}

impl FaultyDisk {
    /// Mounts a disk on which nothing fails yet. Returns `None`, and prints the reason, where that is not possible.
    pub fn mount() -> Option<Self> {
        if !rustix::process::geteuid().is_root() || !Path::new("/dev/fuse").exists() {
            eprintln!("skipped: only root, with /dev/fuse, can mount a disk that fails");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let tree = Arc::new(Mutex::new(Tree::default()));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("faulty".into())];
        let session = fuser::spawn_mount(serve::Served(tree.clone()), folder.path(), &config).unwrap();
        Some(Self { _session: session, tree, folder })
    }

    /// Returns the folder where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes this fail from now on, or nothing.
    pub fn set(&self, fault: Option<Fault>) {
        self.tree().fault = fault;
    }

    /// Makes these pages of files unreadable from now on, each the name of a file and the number of a page of 4 KiB.
    pub fn set_unreadable(&self, pages: impl IntoIterator<Item = (OsString, u64)>) {
        self.tree().unreadable = pages.into_iter().collect();
    }

    /// Returns the number of ordered failures so far.
    pub fn failures(&self) -> u64 {
        self.tree().failures
    }

    /// Segments that were written to or synced after a write or sync of them had failed.
    pub fn touched_again(&self) -> Vec<String> {
        self.tree().touched_again.clone()
    }

    /// Cuts the power: everything that was not synced is gone. No process may have files open.
    pub fn cut_power(&self) {
        self.tree().cut_power();
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap()
    }
}
