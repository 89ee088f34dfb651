//! The log: one JSON object per line for programs, or plain text for people. It never blocks the process: lines go to a
//! bounded buffer, which a thread of its own writes to standard error. If standard error is not read, the buffer fills,
//! and lines are dropped and counted.

use std::{
    fs::File,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    sync::{OnceLock, mpsc},
    thread,
    time::Duration,
};

use clap::ValueEnum;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Text for a person.
    Text,
}

/// Reason for which the logger cannot be installed.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `RUST_LOG` is not a filter.
    #[error("RUST_LOG cannot be read")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// Standard error cannot be written from another thread.
    #[error("standard error cannot be used")]
    StandardError(#[source] io::Error),
    /// The process has one already.
    #[error("a logger is installed already")]
    Installed(#[source] tracing_subscriber::util::TryInitError),
}

/// Filter of the log unless `RUST_LOG` is set. hyper warns about every client that breaks off or is slow; the
/// listener counts those, and they are no fault of the process.
const DEFAULT_FILTER: &str = "info,hyper=error,h2=error";

/// Maximum number of lines that wait to be written while standard error is not read: some 5 MiB.
const BUFFERED_LINES: usize = 16_384;
/// Time that the end of a process waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Counts what the process's logger had to drop.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Returns the number of log lines that were dropped since the start because standard error was not read.
pub fn dropped_lines() -> u64 {
    DROPPED.get().map_or(0, |counter| counter.dropped_lines() as u64)
}

/// Keeps the logger's thread. Dropped at the end of a process, it waits up to two seconds for the last lines.
#[derive(Debug)]
#[must_use = "without it, no line is written"]
pub struct LogGuard(Option<WorkerGuard>);

impl Drop for LogGuard {
    fn drop(&mut self) {
        let Some(guard) = self.0.take() else { return };
        let (done, written) = mpsc::channel();
        // A thread that writes to a pipe that nobody reads never ends: the process must.
        let flush = move || {
            drop(guard);
            let _ = done.send(());
        };
        if thread::Builder::new().name("log-flush".into()).spawn(flush).is_ok() {
            let _ = written.recv_timeout(LAST_LINES);
        }
    }
}

/// Writes to `out` on a thread of its own, and drops what the buffer has no room for.
fn buffered(out: impl Write + Send + 'static, lines: usize) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default().lossy(true).buffered_lines_limit(lines).thread_name("log").finish(out)
}

/// Installs the process's logger on standard error. Without `format` it writes JSON, unless standard error is a
/// terminal.
pub fn install(format: Option<LogFormat>) -> Result<LogGuard, LoggingError> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(wanted) => EnvFilter::try_new(wanted).map_err(LoggingError::Filter)?,
        Err(_) => EnvFilter::new(DEFAULT_FILTER),
    };
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let registry = tracing_subscriber::registry().with(filter);
    // A file of its own: the lock of `std::io::stderr` would be held for as long as a write takes.
    let out = io::stderr().as_fd().try_clone_to_owned().map_err(LoggingError::StandardError)?;
    let (writer, guard) = buffered(File::from(out), BUFFERED_LINES);
    let _ = DROPPED.set(writer.error_counter());
    let base = fmt::layer().with_writer(writer);
    match format {
        LogFormat::Json => registry.with(base.json().flatten_event(true).with_current_span(false)).try_init(),
        LogFormat::Text => registry.with(base.with_ansi(terminal)).try_init(),
    }
    .map_err(LoggingError::Installed)?;
    Ok(LogGuard(Some(guard)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A standard error that is not read until the other end is dropped.
    struct Unread(mpsc::Receiver<()>);

    impl Write for Unread {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_nobody_reads_are_dropped_and_counted() {
        let (reading, unread) = mpsc::channel();
        let (mut writer, guard) = buffered(Unread(unread), 8);
        for _ in 0..100 {
            writer.write_all(b"line\n").unwrap();
        }
        // The thread may have taken the one that it cannot write.
        let dropped = writer.error_counter().dropped_lines();
        assert!((91..=92).contains(&dropped), "{dropped}");
        drop(reading);
        drop(LogGuard(Some(guard)));
    }

    #[test]
    fn process_ends_although_nobody_reads_its_log() {
        let (reading, unread) = mpsc::channel();
        let (mut writer, guard) = buffered(Unread(unread), 1);
        for _ in 0..3 {
            writer.write_all(b"line\n").unwrap();
        }
        // Would not return if it waited for the lines to be written.
        drop(LogGuard(Some(guard)));
        drop(reading);
    }
}
