//! The relay's home: its data folder, taken, and the spool in it, with every destination's starting cursor on disk.
//! A disk that refuses today may give tomorrow. So what cannot be opened is tried again and again, and meanwhile the
//! relay is alive, not ready, and says why: a restart would do no better, and do it in a loop.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use tracing::warn;
use visnyk_crds::valid::{Destination, ValidatedRelay};
use visnyk_engine::journal::ReadError;
use visnyk_engine::spool::{Spool, SpoolError};
use visnyk_engine::state::{DestinationId, NotCommitted};
use visnyk_runtime::admin::socket::{AdminSocket, AdminSocketError};
use visnyk_runtime::host::data_dir;
use visnyk_runtime::host::folder_lock::{FolderLock, FolderLockError};
use visnyk_runtime::observe::{
    causes::with_causes,
    readiness::Readiness,
    watchdog::{BOUND, Watchdog},
};

/// Everything that the data folder gives.
pub struct Home {
    /// Where events are kept.
    pub spool: Spool,
    /// To whom they go.
    pub destinations: Vec<(DestinationId, Destination)>,
    /// How the commands reach the relay.
    pub admin: AdminSocket,
    /// Nobody else is in here meanwhile.
    pub lock: FolderLock,
}

/// How far the opening is, for whoever asks.
#[derive(Default)]
pub struct Opening {
    /// The spool, once it is open.
    pub spool: OnceLock<Spool>,
    /// It could not be opened at the first attempt: there is more to wait for than a start.
    pub in_trouble: OnceLock<()>,
}

/// The home cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The data folder cannot be made.
    #[error("data folder {} cannot be made", folder.display())]
    DataDir {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The data folder is somebody else's.
    #[error("data folder cannot be taken")]
    Lock(#[source] FolderLockError),
    /// The commands could not reach the relay.
    #[error("admin socket cannot be bound")]
    Admin(#[source] AdminSocketError),
    /// Accepted events have no home.
    #[error("spool cannot be opened")]
    Spool(#[source] SpoolError),
    /// Which events were accepted already cannot be found out.
    #[error("accepted events cannot be read")]
    Recall(#[source] ReadError),
    /// Where the destinations' cursors begin cannot be kept.
    #[error("destinations cannot be committed")]
    Configure(#[source] NotCommitted),
}

/// The waits between attempts; the last one again and again.
const WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5)];

impl HomeError {
    /// Whether the manifest has to change before another attempt makes sense.
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Spool(SpoolError::TooSmall { .. }))
    }

    /// Whether another attempt makes no sense: two relays on one folder are a mistake that its second one should
    /// not survive unseen.
    fn is_final(&self) -> bool {
        self.is_configuration() || matches!(self, Self::Lock(FolderLockError::Held { .. }))
    }
}

/// Opens the home, however many attempts that takes. Meanwhile the condition `spool` is not met and says why.
///
/// # Errors
/// Where another attempt makes no sense.
pub async fn open(
    data_dir: &Path,
    valid: &ValidatedRelay,
    opening: &Opening,
    readiness: &Readiness,
    watchdog: &Watchdog,
) -> Result<Home, HomeError> {
    let condition = readiness.condition("spool", "opening");
    let mut waits = WAITS.into_iter();
    let mut wait = WAITS[0];
    loop {
        match attempt(data_dir, valid, watchdog).await {
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

async fn attempt(data_dir: &Path, valid: &ValidatedRelay, watchdog: &Watchdog) -> Result<Home, HomeError> {
    data_dir::make(data_dir).map_err(|source| HomeError::DataDir { folder: data_dir.to_owned(), source })?;
    let lock = FolderLock::take(data_dir).map_err(HomeError::Lock)?;
    // A sick disk may take its time to open, and a restart would begin that anew.
    let ticker = watchdog.register_early("journal writer", BOUND);
    let spool = Spool::open(data_dir, valid.spool.kind, valid.listener.max_body_size, ticker)
        .await
        .map_err(HomeError::Spool)?;
    match furnish(data_dir, valid, &spool).await {
        Ok((destinations, admin)) => Ok(Home { spool, destinations, admin, lock }),
        Err(error) => {
            spool.close().await;
            Err(error)
        }
    }
}

async fn furnish(
    data_dir: &Path,
    valid: &ValidatedRelay,
    spool: &Spool,
) -> Result<(Vec<(DestinationId, Destination)>, AdminSocket), HomeError> {
    spool.recall(&crate::run::windows(&valid.sources)).map_err(HomeError::Recall)?;
    // The starting cursors are on disk before anything is accepted; that the state file can be written, too.
    let destinations = spool.configure(&valid.destinations).await.map_err(HomeError::Configure)?;
    Ok((destinations, AdminSocket::bind(data_dir).map_err(HomeError::Admin)?))
}
