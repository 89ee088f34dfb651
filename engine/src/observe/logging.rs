//! The log: one JSON object per line where a program reads it, plain text where a person does.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For a person.
    Text,
}

/// The logger could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `RUST_LOG` is not a filter.
    #[error("RUST_LOG cannot be read")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// The process has one already.
    #[error("a logger is installed already")]
    Installed(#[source] tracing_subscriber::util::TryInitError),
}

/// What is logged unless `RUST_LOG` says otherwise. hyper warns about every client that breaks off or
/// dawdles, which is the client's affair and is counted by the listener.
const DEFAULT_FILTER: &str = "info,hyper=error,h2=error";

/// Installs the process's logger on standard error. Without a wish the format is JSON, unless standard
/// error is a terminal.
pub fn install(format: Option<LogFormat>) -> Result<(), LoggingError> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(wanted) => EnvFilter::try_new(wanted).map_err(LoggingError::Filter)?,
        Err(_) => EnvFilter::new(DEFAULT_FILTER),
    };
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let registry = tracing_subscriber::registry().with(filter);
    let base = fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Json => registry.with(base.json().flatten_event(true).with_current_span(false)).try_init(),
        LogFormat::Text => registry.with(base.with_ansi(terminal)).try_init(),
    }
    .map_err(LoggingError::Installed)
}
