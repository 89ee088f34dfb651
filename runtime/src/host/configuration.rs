//! From the file that the command line names to the active configuration. A manifest that cannot be used changes nothing,
//! and is reported.
//!
//! A manifest that an operator wrote was valid for that operator. If this process cannot read it, the two are of different
//! versions, and the process runs the manifest that it applied last ([`super::applied`]). A user's own manifest that
//! cannot be read ends the start with exit code 64.

use std::sync::{Arc, Mutex, PoisonError};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use arc_swap::ArcSwap;
use clap::Args;
use tracing::warn;
use visnyk_crds::Problem;
use visnyk_crds::contract::{flags, status::NEWER_CONFIGURATION};
use visnyk_crds::manifest::operator_version;

use super::applied::{AppliedError, AppliedManifest};

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
    /// The manifest has these mistakes, and no operator wrote it.
    Invalid(Vec<Problem>),
    /// An operator of another version wrote it, and this program cannot read it.
    Newer {
        /// Version of the operator.
        operator: String,
        /// Parts that cannot be read.
        problems: Vec<Problem>,
        /// Reason why the manifest that was applied last does not run instead; `None`: it does, or was not asked for.
        none_applied: Option<String>,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Invalid(problems) => f.write_str(&lines(problems)),
            Self::Newer { operator, problems, none_applied } => {
                let own = env!("CARGO_PKG_VERSION");
                writeln!(f, "{}", lines(problems))?;
                write!(
                    f,
                    "an operator of version {operator} wrote this manifest, and version {own} cannot read it"
                )?;
                none_applied.as_ref().map_or(Ok(()), |why| write!(f, "\n{why}"))
            }
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// One of [`visnyk_crds::manifest`]'s functions.
type Reader<V> = fn(&str, Option<&str>) -> Result<V, Vec<Problem>>;

/// A manifest that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest<V> {
    /// The validated resource.
    pub valid: V,
    /// The text, if an operator wrote it: what [`AppliedManifest::store`] keeps.
    pub text: Option<String>,
}

impl<V> Manifest<V> {
    /// Keeps the manifest for the case that a newer one cannot be read. A user's own is not kept.
    ///
    /// # Errors
    /// The text why it cannot be stored.
    pub fn keep(&self, applied: &AppliedManifest) -> Result<(), String> {
        let Some(text) = &self.text else { return Ok(()) };
        let stored = applied.store(text);
        stored.map_err(|error| format!("{} cannot be stored, tried again: {error}", applied.path().display()))
    }
}

/// Reads the resource.
pub fn load<V>(args: &ManifestArgs, read: Reader<V>) -> Result<Manifest<V>, LoadError> {
    let path = &args.manifest;
    let text =
        fs::read_to_string(path).map_err(|source| LoadError::Unreadable { path: path.clone(), source })?;
    let operator = operator_version(&text);
    match (read(&text, args.name.as_deref()), operator) {
        (Ok(valid), operator) => Ok(Manifest { valid, text: operator.map(|_| text) }),
        (Err(problems), None) => Err(LoadError::Invalid(problems)),
        (Err(problems), Some(operator)) => Err(LoadError::Newer { operator, problems, none_applied: None }),
    }
}

/// A configuration to start with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start<V> {
    /// The manifest that runs.
    pub manifest: Manifest<V>,
    /// Reason why the manifest that the command line names does not run.
    pub problem: Option<ManifestProblem>,
}

/// Reads the resource, or, if an operator of another version wrote it and this program cannot read it, the one that was
/// applied last.
///
/// # Errors
/// Neither can be read.
pub fn load_to_start<V>(
    args: &ManifestArgs,
    data_dir: &Path,
    read: Reader<V>,
) -> Result<Start<V>, LoadError> {
    let newer = match load(args, read) {
        Ok(manifest) => return Ok(Start { manifest, problem: None }),
        Err(error @ LoadError::Newer { .. }) => error,
        Err(error) => return Err(error),
    };
    let applied = AppliedManifest::in_folder(data_dir);
    let last = applied.read().map_err(|error: AppliedError| error.to_string()).and_then(|text| {
        let cannot = |problems: Vec<Problem>| {
            format!("{} is not valid: {}", applied.path().display(), lines(&problems))
        };
        let valid = read(&text, args.name.as_deref()).map_err(cannot)?;
        Ok(Manifest { valid, text: Some(text) })
    });
    match (last, newer) {
        (Ok(manifest), newer) => Ok(Start { manifest, problem: Some(newer.into()) }),
        (Err(why), LoadError::Newer { operator, problems, .. }) => {
            Err(LoadError::Newer { operator, problems, none_applied: Some(why) })
        }
        (Err(_), other) => Err(other),
    }
}

/// Reason why the latest content of the manifest is not active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestProblem {
    /// The mistakes, one line each.
    pub reason: String,
    /// An operator of another version wrote the manifest, and this program cannot read it.
    pub is_newer: bool,
}

impl From<String> for ManifestProblem {
    fn from(reason: String) -> Self {
        Self { reason, is_newer: false }
    }
}

impl From<LoadError> for ManifestProblem {
    fn from(error: LoadError) -> Self {
        Self { reason: error.to_string(), is_newer: matches!(error, LoadError::Newer { .. }) }
    }
}

/// The active configuration of a process.
#[derive(Debug)]
pub struct Configuration<V> {
    current: ArcSwap<V>,
    problem: Mutex<Option<ManifestProblem>>,
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
    pub fn problem(&self) -> Option<ManifestProblem> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers whether the manifest's latest content could be applied, and logs a mistake a line. One that is tried
    /// again and fails as before is not logged again.
    pub fn record_outcome(&self, applied: Result<(), ManifestProblem>) {
        let problem = applied.err();
        let before = std::mem::replace(
            &mut *self.problem.lock().unwrap_or_else(PoisonError::into_inner),
            problem.clone(),
        );
        let Some(problem) = problem.filter(|problem| before.as_ref() != Some(problem)) else { return };
        let reason = problem.is_newer.then_some(NEWER_CONFIGURATION);
        for mistake in problem.reason.lines() {
            warn!(mistake, reason, "changed manifest not applied; the configuration before it stays");
        }
    }
}
