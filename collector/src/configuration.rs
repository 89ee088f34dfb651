//! From the file that the command line names to a valid collector.

use std::{fs, io, path::PathBuf};

use visnyk_crds::{Problem, manifest, valid::ValidatedCollector};

use crate::args::ManifestArgs;

/// The manifest is not to be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("manifest {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It says what cannot be: a line per mistake.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Reads and validates the Collector of a manifest.
pub fn load(args: &ManifestArgs) -> Result<ValidatedCollector, LoadError> {
    let path = &args.manifest;
    let text =
        fs::read_to_string(path).map_err(|source| LoadError::Unreadable { path: path.clone(), source })?;
    manifest::load_collector(&text, args.name.as_deref()).map_err(LoadError::Invalid)
}
