//! `visnyk-relay explain`: what the rules of a manifest would do with an event, and why. Nothing is sent or stored.

mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use visnyk_crds::valid::ValidatedRelay;
use visnyk_rules::{Attributes, Event, Priority, Selector};

pub use report::report;

/// An event in a file, as JSON.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventFile {
    /// Name of a source of the manifest.
    source: String,
    /// Path and query of the request. Default `/`.
    #[serde(default = "root")]
    target: String,
    /// Time at which it was received. Default 1970-01-01T00:00:00Z, so that an explanation does not depend on the clock.
    #[serde(default)]
    received: Timestamp,
    /// Headers that are kept. Names are in lowercase.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Statements of the sender.
    #[serde(default)]
    attributes: AttributesFile,
    /// The body, if it is JSON.
    body: Option<Box<RawValue>>,
    /// The body, if it is anything else. Not together with `body`.
    text: Option<String>,
}

/// Statements of the sender about its event.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributesFile {
    #[serde(rename = "type")]
    kind: Option<String>,
    id: Option<String>,
    source: Option<String>,
    time: Option<Timestamp>,
}

/// An event file that cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The file cannot be read.
    #[error("cannot read event file {}", path.display())]
    Unreadable {
        /// The file that was read.
        path: PathBuf,
        /// Error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The file is no event.
    #[error("event file {} is not an event", path.display())]
    Invalid {
        /// The file that was read.
        path: PathBuf,
        /// Place in it, and the reason.
        #[source]
        source: serde_json::Error,
    },
    /// Both forms of the body are given.
    #[error("event file has both body and text: give one")]
    TwoBodies,
    /// The manifest has no such source.
    #[error("event file names source {0:?}, which the manifest does not have; there are {1}")]
    UnknownSource(String, String),
}

fn root() -> String {
    "/".to_owned()
}

/// Reads an event from a file.
pub fn read(path: &Path) -> Result<EventFile, ExplainError> {
    let text =
        std::fs::read(path).map_err(|source| ExplainError::Unreadable { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|source| ExplainError::Invalid { path: path.to_owned(), source })
}

/// Returns what the rules and destinations of a manifest do with an event, as lines of text.
pub fn explain(valid: &ValidatedRelay, file: &EventFile) -> Result<String, ExplainError> {
    if file.body.is_some() && file.text.is_some() {
        return Err(ExplainError::TwoBodies);
    }
    let body = file.body.as_ref().map(|body| body.get()).or(file.text.as_deref()).unwrap_or_default();
    let headers: Vec<_> = file
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone().into_bytes()))
        .collect();
    let event = Event {
        source: &file.source,
        received_at_ms: file.received.as_millisecond(),
        target: &file.target,
        headers: &headers,
        attributes: Attributes {
            kind: file.attributes.kind.as_deref(),
            id: file.attributes.id.as_deref(),
            origin: file.attributes.source.as_deref(),
            time_ms: file.attributes.time.map(Timestamp::as_millisecond),
        },
        body: body.as_bytes(),
        priority: priority(valid, &file.source)?,
    };
    let selectors: Vec<Selector> =
        valid.destinations.iter().map(|destination| destination.selector.clone()).collect();
    let (decision, steps) = visnyk_rules::explain(event, &valid.rules, &selectors);
    Ok(report(valid, &decision, &steps))
}

fn priority(valid: &ValidatedRelay, name: &str) -> Result<Priority, ExplainError> {
    let source = valid.sources.iter().find(|source| source.name == name);
    source.map(|source| source.priority).ok_or_else(|| {
        let names: Vec<_> = valid.sources.iter().map(|source| source.name.as_str()).collect();
        ExplainError::UnknownSource(name.to_owned(), names.join(", "))
    })
}
