//! The relay's data folder, locked, and the spool in it, with every destination's starting cursor on disk. A disk
//! that fails today may work tomorrow, so opening is tried again and again. Meanwhile the relay is alive, not ready,
//! and says why: a restart would not help, and would happen in a loop.

use std::io;
use std::path::{Path, PathBuf};

use std::time::Duration;

use tracing::warn;
use visnyk_crds::valid::{Destination, ValidatedRelay};
use visnyk_engine::journal::ReadError;
use visnyk_engine::spool::{Spool, SpoolError};
use visnyk_engine::state::{DestinationId, NotCommitted};
use visnyk_runtime::admin::socket::{AdminSocket, AdminSocketError};
use visnyk_runtime::blocking::run_blocking;
use visnyk_runtime::host::applied::AppliedManifest;
use visnyk_runtime::host::configuration::Manifest;
use visnyk_runtime::host::data_dir;
use visnyk_runtime::host::folder_lock::{FolderLock, FolderLockError};
use visnyk_runtime::observe::{
    causes::with_causes,
    readiness::Readiness,
    watchdog::{BOUND, Watchdog},
};

use crate::endpoints::Opening;

/// Everything that is opened in the data folder.
pub struct Home {
    /// Spool with its destinations.
    pub spool: Spool,
    /// The receivers of events.
    pub destinations: Vec<(DestinationId, Destination)>,
    /// Socket for the commands.
    pub admin: AdminSocket,
    /// The lock that keeps other processes out.
    pub lock: FolderLock,
}

/// Reason for which the data folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The data folder cannot be created.
    #[error("data folder {} cannot be made", folder.display())]
    DataDir {
        /// Path of the folder.
        folder: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The data folder is in use by another process.
    #[error("data folder cannot be taken")]
    Lock(#[source] FolderLockError),
    /// The admin socket cannot be opened.
    #[error("admin socket cannot be bound")]
    Admin(#[source] AdminSocketError),
    /// The spool cannot be opened.
    #[error("spool cannot be opened")]
    Spool(#[source] SpoolError),
    /// The ids of accepted events cannot be read.
    #[error("accepted events cannot be read")]
    Recall(#[source] ReadError),
    /// The destinations' starting cursors cannot be stored.
    #[error("destinations cannot be committed")]
    Configure(#[source] NotCommitted),
}

/// Waits between attempts; the last one is repeated.
const WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5)];

impl HomeError {
    /// Returns whether the manifest must change before another attempt makes sense.
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Spool(SpoolError::TooSmall { .. }))
    }

    /// Returns whether another attempt makes no sense: two relays on one folder are a mistake, which the second must
    /// not hide.
    fn is_final(&self) -> bool {
        self.is_configuration() || matches!(self, Self::Lock(FolderLockError::Held { .. }))
    }
}

/// Opens the data folder, with as many attempts as that takes. Meanwhile the condition `spool` is not met and says
/// why.
///
/// # Errors
/// An error after which another attempt makes no sense.
pub async fn open(
    data_dir: &Path,
    manifest: &Manifest<ValidatedRelay>,
    opening: &Opening,
    readiness: &Readiness,
    watchdog: &Watchdog,
) -> Result<Home, HomeError> {
    let condition = readiness.condition("spool", "opening");
    let mut waits = WAITS.into_iter();
    let mut wait = WAITS[0];
    loop {
        match attempt(data_dir, manifest, watchdog).await {
            Ok(home) => {
                let _ = opening.spool.set(home.spool.clone());
                return Ok(home);
            }
            Err(error) if error.is_final() => return Err(error),
            Err(error) => {
                let reason = with_causes(&error);
                warn!(reason, "not accepting yet, trying again");
                condition.unmet(reason);
                let _ = opening.in_trouble.set(());
            }
        }
        wait = waits.next().unwrap_or(wait);
        tokio::time::sleep(wait).await;
    }
}

async fn attempt(
    data_dir: &Path,
    manifest: &Manifest<ValidatedRelay>,
    watchdog: &Watchdog,
) -> Result<Home, HomeError> {
    let valid = &manifest.valid;
    data_dir::make(data_dir).map_err(|source| HomeError::DataDir { folder: data_dir.to_owned(), source })?;
    let lock = FolderLock::take(data_dir).map_err(HomeError::Lock)?;
    // A full disk must not keep what is stored from being delivered, which makes room. The reload tries again.
    if let Err(reason) = run_blocking(|| manifest.keep(&AppliedManifest::in_folder(data_dir))) {
        warn!(reason, "starting all the same");
    }
    // A sick disk may take its time to open, and a restart would begin that anew.
    let ticker = watchdog.register_early("journal writer", BOUND);
    let spool = Spool::open(data_dir, valid.spool.kind, valid.listener.max_body_size, ticker)
        .await
        .map_err(HomeError::Spool)?;
    match configure_spool(data_dir, valid, &spool).await {
        Ok((destinations, admin)) => Ok(Home { spool, destinations, admin, lock }),
        Err(error) => {
            spool.close().await;
            Err(error)
        }
    }
}

async fn configure_spool(
    data_dir: &Path,
    valid: &ValidatedRelay,
    spool: &Spool,
) -> Result<(Vec<(DestinationId, Destination)>, AdminSocket), HomeError> {
    spool.recall(&crate::app::run::windows(&valid.sources)).map_err(HomeError::Recall)?;
    // The starting cursors are on disk before anything is accepted; that the state file can be written, too.
    let destinations = spool.configure(&valid.destinations).await.map_err(HomeError::Configure)?;
    Ok((destinations, AdminSocket::bind(data_dir).map_err(HomeError::Admin)?))
}
