//! From the file that the command line names to a valid collector.

use std::{fmt, fs, io, path::PathBuf};

use visnyk_crds::{Problem, manifest, valid::ValidatedCollector};

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

/// Reads and validates the Collector of a manifest.
pub fn load(args: &ManifestArgs) -> Result<ValidatedCollector, LoadError> {
    let path = &args.manifest;
    let text =
        fs::read_to_string(path).map_err(|source| LoadError::Unreadable { path: path.clone(), source })?;
    manifest::load_collector(&text, args.name.as_deref()).map_err(LoadError::Invalid)
}
