//! Applies a changed manifest, secret or peer without a restart. A manifest that cannot be used changes nothing, and
//! is reported.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tracing::{info, warn};
use visnyk_crds::manifest;
use visnyk_crds::valid::{Destination, SecretRef, Source, ValidatedRelay};
use visnyk_engine::deliver::fleet::Fleet;
use visnyk_engine::spool::Spool;
use visnyk_engine::state::DestinationId;
use visnyk_engine::triage::Ruling;
use visnyk_runtime::blocking::run_blocking;
use visnyk_runtime::host::applied::AppliedManifest;
use visnyk_runtime::host::configuration::{
    self, Configuration, LoadError, Manifest, ManifestArgs, ManifestProblem,
};
use visnyk_runtime::observe::watchdog::Ticker;
use visnyk_runtime::server::drain::{ReloadSignal, SignalsError};
use visnyk_runtime::{host::file_watch::FileWatch, server::tls::Tls};

use crate::active::Active;
use crate::sources::SourceLoader;

/// Everything that a change of files affects.
pub struct Reload {
    /// File and name of the resource.
    pub manifest: ManifestArgs,
    /// The manifest that was applied last.
    pub applied: AppliedManifest,
    /// Folder of the Secrets, as files `<secret>/<key>`.
    pub secrets_dir: PathBuf,
    /// The active configuration and sources.
    pub active: Arc<Configuration<Active>>,
    /// The spool, which stores the destinations.
    pub spool: Spool,
    /// The dispatchers of all destinations.
    pub fleet: Arc<Mutex<Fleet>>,
    /// The loader of the sources' secrets.
    pub sources: SourceLoader,
    /// TLS of the listener, if there is one.
    pub tls: Option<Tls>,
}

/// Interval between two ticks without a change, and between two attempts at a change that may succeed later.
const TICK: Duration = Duration::from_secs(1);

/// Reason for which a changed manifest was not applied.
#[derive(Debug)]
enum NotApplied {
    /// The change cannot be applied. Another manifest, another secret or a restart is needed.
    Refused(ManifestProblem),
    /// The change cannot be read or stored now. It is tried again.
    Later(ManifestProblem),
}

impl NotApplied {
    fn refused(reason: String) -> Self {
        Self::Refused(reason.into())
    }

    fn later(reason: String) -> Self {
        Self::Later(reason.into())
    }
}

/// The files that can change.
pub struct Watches {
    manifest: FileWatch,
    secrets: FileWatch,
    peers: FileWatch,
    signal: ReloadSignal,
}

impl Watches {
    /// Starts watching the files.
    pub fn start(manifest: PathBuf, secrets_dir: PathBuf, peers_dir: PathBuf) -> Result<Self, SignalsError> {
        Ok(Self {
            manifest: FileWatch::start(vec![manifest]),
            secrets: FileWatch::start(vec![secrets_dir]),
            peers: FileWatch::start(vec![peers_dir]),
            signal: ReloadSignal::listen()?,
        })
    }
}

impl Reload {
    /// Applies each change, for as long as it is polled.
    pub async fn run(self, mut watches: Watches, ticker: Ticker) {
        // What was not stored at the start is stored now.
        let mut is_late = true;
        loop {
            ticker.tick();
            tokio::select! {
                () = watches.manifest.changed() => is_late = self.apply_and_report().await,
                () = watches.secrets.changed() => is_late = self.reload().await,
                () = watches.signal.received() => is_late = self.reload().await,
                () = watches.peers.changed() => Fleet::reload_files(&self.fleet).await,
                () = tokio::time::sleep(TICK) => if is_late {
                    is_late = self.apply_and_report().await;
                },
            }
        }
    }

    /// Reads every file again: secrets, peers and the manifest. Returns whether the manifest must be tried again.
    async fn reload(&self) -> bool {
        let valid = self.active.current().valid.clone();
        self.active.replace(run_blocking(|| Active::load(valid, &self.sources)));
        Fleet::reload_files(&self.fleet).await;
        // A changed manifest may have waited for just these.
        self.apply_and_report().await
    }

    /// Applies the manifest and reports the result. Returns whether it must be tried again.
    async fn apply_and_report(&self) -> bool {
        let (applied, is_late) = match self.apply().await {
            Ok(()) => (Ok(()), false),
            Err(NotApplied::Refused(reason)) => (Err(reason), false),
            Err(NotApplied::Later(reason)) => (Err(reason), true),
        };
        self.active.record_outcome(applied);
        is_late
    }

    async fn apply(&self) -> Result<(), NotApplied> {
        let new = run_blocking(|| self.load())?;
        let active = self.active.current();
        run_blocking(|| self.check(&active.valid, &new.valid)).map_err(NotApplied::refused)?;
        run_blocking(|| new.keep(&self.applied)).map_err(NotApplied::later)?;
        let new = new.valid;
        if new == active.valid {
            return Ok(());
        }
        let configured = self.spool.configure(&new.destinations).await;
        let destinations = configured.map_err(|error| {
            NotApplied::later(format!("spec.destinations: cannot be kept, tried again: {error}"))
        })?;
        for warning in crate::warnings(&new) {
            warn!(warning, "the changed manifest is valid");
        }
        info!(hash = new.identity.configuration_hash, "changed manifest applied");
        self.activate(new, &destinations).await;
        Ok(())
    }

    /// Makes a configuration the active one, at the start and after a change. Its destinations are stored in the spool
    /// already.
    pub async fn activate(&self, valid: ValidatedRelay, destinations: &[(DestinationId, Destination)]) {
        Fleet::apply(&self.fleet, destinations, ruling(&valid)).await;
        if let Some(tls) = &self.tls {
            tls.configure((&valid.listener).into());
        }
        self.active.replace(run_blocking(|| Active::load(valid, &self.sources)));
    }

    fn load(&self) -> Result<Manifest<ValidatedRelay>, NotApplied> {
        configuration::load(&self.manifest, manifest::load_relay).map_err(|error| match error {
            LoadError::Unreadable { .. } => NotApplied::Later(error.into()),
            LoadError::Invalid(_) | LoadError::Newer { .. } => NotApplied::Refused(error.into()),
        })
    }

    /// Checks that `new` can replace `current` while the relay runs.
    fn check(&self, current: &ValidatedRelay, new: &ValidatedRelay) -> Result<(), String> {
        if new.listener.port != current.listener.port {
            return Err("spec.listener.port: another port takes a restart".into());
        }
        if new.spool.kind != current.spool.kind {
            return Err("spec.spool: another size or kind takes a restart".into());
        }
        if new.listener.max_body_size > self.spool.max_body_size() {
            return Err("spec.listener.maxBodySize: a larger one than at the start takes a restart".into());
        }
        match self.lacks(current, new) {
            Some(SecretRef { name, key }) => {
                Err(format!("secret {name}/{key} is new and not there: it takes its file, or a restart"))
            }
            None => Ok(()),
        }
    }

    /// Returns the first secret that `new` names and `current` does not, and whose file is missing. In a pod it comes
    /// with the next pod; until then a source that needs it could verify no sender.
    fn lacks(&self, current: &ValidatedRelay, new: &ValidatedRelay) -> Option<SecretRef> {
        let (before, after) = (current.secrets(), new.secrets());
        let mut added = after.difference(&before);
        added.find(|secret| !self.secrets_dir.join(&secret.name).join(&secret.key).exists()).cloned()
    }
}

/// Returns the rules of a configuration, as triage applies them.
fn ruling(valid: &ValidatedRelay) -> Ruling {
    let condition = |one: &Destination| (one.name.clone(), one.selector.clone());
    let priority = |one: &Source| (one.name.clone(), one.priority);
    Ruling {
        rules: valid.rules.clone(),
        destinations: valid.destinations.iter().map(condition).collect(),
        priorities: valid.sources.iter().map(priority).collect(),
    }
}
