//! The files around the state file: setting a damaged one aside so that no crash in between loses it,
//! and remembering that one is suspected of damage.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;
use visnyk_runtime::host::file_identity::FileIdentity;

use super::OpenError;
use super::fault::{Class, Fault, class};

/// A check of the whole structure reads the whole file: up to this size at every start (some 100 ms),
/// beyond only when damage was met before.
const ALWAYS_CHECKED: u64 = 64 << 20;
/// Mode of a file that only its owner reads and writes.
const PRIVATE: u32 = 0o600;

pub(super) fn state(dir: &Path) -> PathBuf {
    dir.join("state.db")
}

/// Returns the path of the file with the salvaged rows, until it replaces the state file.
pub(super) fn salvaged(dir: &Path) -> PathBuf {
    dir.join("state.db.salvaged")
}

fn mark(dir: &Path) -> PathBuf {
    dir.join("state.db.suspect")
}

/// The state file and its write-ahead log as they were opened.
#[derive(Debug)]
pub(super) struct OpenedFiles(Vec<(PathBuf, FileIdentity)>);

impl OpenedFiles {
    /// Remembers which files these are. They are not opened for it: closing them would give up `SQLite`'s locks.
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        let paths = [state(dir), beside(&state(dir), "-wal")];
        let identified = paths.into_iter().map(|path| FileIdentity::at(&path).map(|file| (path, file)));
        Ok(Self(identified.collect::<io::Result<_>>()?))
    }

    /// Checks that both are still at their paths: `SQLite` goes on writing to a file that was removed, without an
    /// error.
    pub(super) fn check(&self) -> io::Result<()> {
        self.0.iter().try_for_each(|(path, file)| file.check_at(path))
    }
}

/// Makes the file readable to this user alone, and creates it if it is missing: it holds events. `SQLite` gives its
/// companions the same mode.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // By its path: closing an open file of ours would give up `SQLite`'s locks.
            if let Err(error) = fs::set_permissions(path, fs::Permissions::from_mode(PRIVATE)) {
                tracing::debug!(%error, path = %path.display(), "cannot change the mode of the state file");
            }
            Ok(())
        }
        made => made.map(drop),
    }
}

/// Returns the path of `SQLite`'s companion of a file.
pub(super) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Remembers damage for the next start, when the structure is checked whatever the file's size.
pub(super) fn suspect(dir: &Path, error: &sqlx::Error) {
    if class(error) == Class::Damaged
        && let Err(error) = fs::write(mark(dir), b"")
    {
        tracing::warn!(%error, "cannot remember that the state file may be damaged");
    }
}

/// Checks the structure of the file, unless it is large and nothing speaks against it.
pub(super) async fn check(dir: &Path, connection: &mut SqliteConnection) -> Result<(), Fault> {
    let size = fs::metadata(state(dir)).map_or(0, |metadata| metadata.len());
    if size > ALWAYS_CHECKED && !mark(dir).exists() {
        return Ok(());
    }
    let row = sqlx::query("PRAGMA quick_check(1)").fetch_one(&mut *connection).await?;
    let verdict: String = row.try_get(0)?;
    if verdict != "ok" {
        return Err(Fault::Damaged(sqlx::Error::Protocol(verdict)));
    }
    let _ = fs::remove_file(mark(dir));
    Ok(())
}

/// Puts what was salvaged in the place of the state file, and returns the damaged one's new name.
pub(super) fn replace(dir: &Path, now_ms: i64) -> Result<PathBuf, OpenError> {
    let damaged = state(dir);
    let aside = dir.join(format!("state.db.corrupt-{now_ms}"));
    // The file itself comes last: without it, the next start knows that it has to go on here.
    for suffix in ["-shm", "-wal", ""] {
        rename(&beside(&damaged, suffix), &beside(&aside, suffix))?;
    }
    sync(dir)?;
    finish_replacement(dir)?;
    Ok(aside)
}

/// Goes on where a crash interrupted [`replace`].
pub(super) fn finish_replacement(dir: &Path) -> Result<(), OpenError> {
    if !state(dir).exists() && salvaged(dir).exists() {
        // A write-ahead log belongs to the file it was written for; beside another it is poison.
        for suffix in ["-shm", "-wal"] {
            remove(&beside(&state(dir), suffix))?;
        }
        rename(&salvaged(dir), &state(dir))?;
        remove(&mark(dir))?;
        sync(dir)?;
    }
    Ok(())
}

pub(super) fn remove(path: &Path) -> Result<(), OpenError> {
    absent_is_fine(fs::remove_file(path), path)
}

fn rename(from: &Path, to: &Path) -> Result<(), OpenError> {
    absent_is_fine(fs::rename(from, to), from)
}

fn sync(dir: &Path) -> Result<(), OpenError> {
    absent_is_fine(fs::File::open(dir).and_then(|dir| dir.sync_all()), dir)
}

fn absent_is_fine(result: io::Result<()>, path: &Path) -> Result<(), OpenError> {
    match result {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(OpenError::Files { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
