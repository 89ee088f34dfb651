//! The manifest of the command line and the active configuration. A manifest that cannot be used changes nothing, and
//! is reported.

use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, fs, io, path::PathBuf};

use arc_swap::ArcSwap;
use clap::Args;
use tracing::warn;
use visnyk_crds::Problem;
use visnyk_crds::contract::flags;

/// File and name of a resource.
#[derive(Clone, Debug, Args)]
pub struct ManifestArgs {
    /// YAML file with the resource. Resources of other kinds in it are ignored.
    #[arg(long = flags::MANIFEST, value_name = "FILE", env = flags::MANIFEST_VARIABLE)]
    pub manifest: PathBuf,
    /// `metadata.name` of the resource. Needed only if the file has several of its kind.
    #[arg(long)]
    pub name: Option<String>,
}

/// Reason for which the manifest cannot be used. It is shown as a line per mistake.
#[derive(Debug)]
pub enum LoadError {
    /// The file cannot be read.
    Unreadable {
        /// Path of the manifest.
        path: PathBuf,
        /// Error of the operation that failed.
        source: io::Error,
    },
    /// The manifest has these mistakes.
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

/// Reads the resource with one of [`visnyk_crds::manifest`]'s functions.
pub fn load<V>(
    args: &ManifestArgs,
    read: fn(&str, Option<&str>) -> Result<V, Vec<Problem>>,
) -> Result<V, LoadError> {
    let path = &args.manifest;
    let text =
        fs::read_to_string(path).map_err(|source| LoadError::Unreadable { path: path.clone(), source })?;
    read(&text, args.name.as_deref()).map_err(LoadError::Invalid)
}

/// The active configuration of a process.
#[derive(Debug)]
pub struct Configuration<V> {
    current: ArcSwap<V>,
    problem: Mutex<Option<String>>,
}

impl<V> Configuration<V> {
    /// Makes a configuration whose active value is `first` until another is applied.
    pub fn new(first: V) -> Self {
        Self { current: ArcSwap::from_pointee(first), problem: Mutex::default() }
    }

    /// Returns the active configuration.
    pub fn current(&self) -> Arc<V> {
        self.current.load_full()
    }

    /// Makes this the active configuration.
    pub fn replace(&self, new: V) {
        self.current.store(Arc::new(new));
    }

    /// Returns why the latest content of the manifest is not active; none if it is.
    pub fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers whether the manifest's latest content could be applied, and logs a mistake a line. One that is tried
    /// again and fails as before is not logged again.
    pub fn record_outcome(&self, applied: Result<(), String>) {
        let problem = applied.err();
        let before = std::mem::replace(
            &mut *self.problem.lock().unwrap_or_else(PoisonError::into_inner),
            problem.clone(),
        );
        for mistake in problem.iter().filter(|_| problem != before).flat_map(|mistakes| mistakes.lines()) {
            warn!(mistake, "changed manifest not applied; the configuration before it stays");
        }
    }
}
