//! The configuration in force, and how a changed manifest takes its place without a restart. A manifest
//! that cannot be used changes nothing, and is told of.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use tracing::{info, warn};
use visnyk_crds::valid::ValidatedCollector;
use visnyk_engine::serve::{file_watch::FileWatch, tls::Tls};

use crate::{
    args::ManifestArgs,
    configuration,
    log::{file::Place, writer::LogWriter},
};

/// The configuration in force.
#[derive(Debug)]
pub struct Configuration {
    current: ArcSwap<ValidatedCollector>,
    problem: Mutex<Option<String>>,
}

impl Configuration {
    /// This one, until another is applied.
    pub fn new(first: ValidatedCollector) -> Self {
        Self { current: ArcSwap::from_pointee(first), problem: Mutex::default() }
    }

    /// What is in force.
    pub fn current(&self) -> Arc<ValidatedCollector> {
        self.current.load_full()
    }

    /// Why the manifest's latest content is not in force, if it is not.
    pub fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn settle(&self, problem: Option<String>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }
}

/// What follows a changed configuration.
pub struct Reload {
    /// Where the configuration comes from.
    pub manifest: ManifestArgs,
    /// The folder of the log.
    pub data_dir: PathBuf,
    /// What is in force.
    pub configuration: Arc<Configuration>,
    /// Writes the log.
    pub writer: LogWriter,
    /// Meets the clients.
    pub tls: Tls,
}

impl Reload {
    /// Applies each change of the manifest, for as long as it is polled.
    pub async fn run(self, mut watch: FileWatch) {
        loop {
            watch.changed().await;
            match self.apply().await {
                Ok(()) => self.configuration.settle(None),
                Err(problem) => {
                    for mistake in problem.lines() {
                        warn!(mistake, "changed manifest not applied; the configuration before it stays");
                    }
                    self.configuration.settle(Some(problem));
                }
            }
        }
    }

    async fn apply(&self) -> Result<(), String> {
        let new = configuration::load(&self.manifest)
            .map_err(|error| format!("{:#}", anyhow::Error::from(error)))?;
        let current = self.configuration.current();
        if new == *current {
            return Ok(());
        }
        if new.listener.port != current.listener.port {
            return Err("spec.listener.port: another port takes a restart".into());
        }
        self.writer
            .move_to(place(&self.data_dir, &new))
            .await
            .map_err(|error| format!("spec.log.path: cannot be opened: {error}"))?;
        self.tls.configure(new.listener.tls.clone());
        info!(hash = new.identity.configuration_hash, "changed manifest applied");
        self.configuration.current.store(Arc::new(new));
        Ok(())
    }
}

/// Where the log of this configuration is.
pub fn place(data_dir: &Path, configuration: &ValidatedCollector) -> Place {
    Place {
        data_dir: data_dir.into(),
        path: configuration.log.path.clone().into(),
        rotate: configuration.log.rotate,
    }
}
