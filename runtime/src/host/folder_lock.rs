//! One process per data folder: two would each believe that the sequence numbers are theirs.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

/// The lock. It is held until it is dropped or the process ends in any way.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

/// Reason for which a folder cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum FolderLockError {
    /// Another process has it.
    #[error("data folder {} is in use by process {holder}", folder.display())]
    Held {
        /// Path of the folder.
        folder: PathBuf,
        /// Process id in the lock file; `unknown` if the process has not written it yet.
        holder: String,
    },
    /// The lock file cannot be made or locked.
    #[error("data folder {} cannot be locked", folder.display())]
    Io {
        /// Path of the folder.
        folder: PathBuf,
        /// Error of the operation that failed.
        #[source]
        source: io::Error,
    },
}

/// Name of the lock file in the folder. It is never removed, because the removal could hit another process's lock.
const FILE: &str = "lock";

impl FolderLock {
    /// Locks an existing folder, without waiting.
    pub fn take(folder: &Path) -> Result<Self, FolderLockError> {
        let failed = |source: io::Error| FolderLockError::Io { folder: folder.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(FILE))
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = if holder.trim().is_empty() { "unknown" } else { holder.trim() };
                return Err(FolderLockError::Held { folder: folder.to_owned(), holder: holder.to_owned() });
            }
            Err(error) => return Err(failed(error.into())),
        }
        // Who holds the lock is a courtesy to the next; on a full disk the lock itself still holds.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_holder_is_told_where_and_who() {
        let folder = tempfile::tempdir().unwrap();
        let _held = FolderLock::take(folder.path()).unwrap();
        let error = FolderLock::take(folder.path()).unwrap_err().to_string();
        let expected =
            format!("data folder {} is in use by process {}", folder.path().display(), std::process::id());
        assert_eq!(error, expected);
    }

    #[test]
    fn lock_is_free_once_dropped() {
        let folder = tempfile::tempdir().unwrap();
        drop(FolderLock::take(folder.path()).unwrap());
        FolderLock::take(folder.path()).unwrap();
    }

    #[test]
    fn missing_folder_is_named() {
        let error = FolderLock::take(Path::new("/nowhere/at/all")).unwrap_err();
        assert_eq!(error.to_string(), "data folder /nowhere/at/all cannot be locked");
    }
}
