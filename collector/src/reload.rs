//! Applies a changed manifest without a restart. A manifest that cannot be used changes nothing, and is reported.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tracing::info;
use visnyk_crds::{manifest, valid::ValidatedCollector};
use visnyk_runtime::blocking::run_blocking;
use visnyk_runtime::host::applied::AppliedManifest;
use visnyk_runtime::host::configuration::{self, Configuration, ManifestArgs, ManifestProblem};
use visnyk_runtime::{
    host::file_watch::FileWatch,
    server::{drain::ReloadSignal, tls::Tls},
};

use crate::log::{file::LogLocation, writer::LogWriter};

/// Wait before a manifest that could not be applied is tried again: the disk may work later.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Everything that a changed configuration affects.
pub struct Reload {
    /// File and name of the resource.
    pub manifest: ManifestArgs,
    /// The manifest that was applied last.
    pub applied: AppliedManifest,
    /// The folder of the log.
    pub data_dir: PathBuf,
    /// The configuration that is active.
    pub configuration: Arc<Configuration<ValidatedCollector>>,
    /// The writer of the log.
    pub writer: LogWriter,
    /// TLS of the listener.
    pub tls: Tls,
}

impl Reload {
    /// Applies each change of the manifest, for as long as it is polled.
    pub async fn run(self, mut watch: FileWatch, mut signal: ReloadSignal) {
        // What was not stored at the start is stored now.
        let mut has_failed = true;
        loop {
            tokio::select! {
                () = watch.changed() => {}
                () = signal.received() => {}
                () = tokio::time::sleep(AGAIN_AFTER), if has_failed => {}
            }
            let applied = self.apply().await;
            has_failed = applied.is_err();
            self.configuration.record_outcome(applied);
        }
    }

    async fn apply(&self) -> Result<(), ManifestProblem> {
        let new = run_blocking(|| configuration::load(&self.manifest, manifest::load_collector))?;
        let current = self.configuration.current();
        if new.valid.listener.port != current.listener.port {
            return Err("spec.listener.port: another port takes a restart".to_owned().into());
        }
        run_blocking(|| new.keep(&self.applied))?;
        let new = new.valid;
        if new == *current {
            return Ok(());
        }
        self.writer
            .move_to(location(&self.data_dir, &new))
            .await
            .map_err(|error| format!("spec.log.path: cannot be opened: {error}"))?;
        self.tls.configure((&new.listener).into());
        info!(hash = new.identity.configuration_hash, "changed manifest applied");
        self.configuration.replace(new);
        Ok(())
    }
}

/// Returns the location of this configuration's log.
pub fn location(data_dir: &Path, configuration: &ValidatedCollector) -> LogLocation {
    LogLocation {
        data_dir: data_dir.into(),
        path: configuration.log.path.clone().into(),
        rotate: configuration.log.rotate,
    }
}
