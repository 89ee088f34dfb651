//! From the file that the command line names to a valid relay, and what is in force of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, fs, io, path::PathBuf};

use arc_swap::ArcSwap;
use visnyk_crds::{Problem, manifest, valid::ValidatedRelay};

use crate::args::ManifestArgs;

/// The manifest is not to be used. Shown as a line per mistake.
#[derive(Debug)]
pub enum LoadError {
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It says what cannot be.
    Invalid(Vec<Problem>),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Invalid(problems) => {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                f.write_str(&lines.join("\n"))
            }
        }
    }
}

/// Reads and validates the `WebhookRelay` of a manifest.
pub fn load(args: &ManifestArgs) -> Result<ValidatedRelay, LoadError> {
    let path = &args.manifest;
    let text =
        fs::read_to_string(path).map_err(|source| LoadError::Unreadable { path: path.clone(), source })?;
    manifest::load_relay(&text, args.name.as_deref()).map_err(LoadError::Invalid)
}

/// The configuration in force.
pub struct Configuration {
    current: ArcSwap<ValidatedRelay>,
    problem: Mutex<Option<String>>,
}

impl Configuration {
    /// This one, until another is applied.
    pub fn new(first: ValidatedRelay) -> Self {
        Self { current: ArcSwap::from_pointee(first), problem: Mutex::default() }
    }

    /// What is in force.
    pub fn current(&self) -> Arc<ValidatedRelay> {
        self.current.load_full()
    }

    /// From now on this is in force.
    pub fn replace(&self, new: ValidatedRelay) {
        self.current.store(Arc::new(new));
    }

    /// Why the manifest's latest content is not in force, if it is not.
    pub fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers whether the manifest's latest content could be applied.
    pub fn settle(&self, problem: Option<String>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }
}
