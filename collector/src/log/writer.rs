//! The one thread that writes the log: it takes every waiting line, appends them together and syncs once (group
//! commit), and only then answers their senders.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::oneshot;
use tracing::{error, info, warn};
use visnyk_runtime::observe::{readiness::Condition, watchdog::Ticker};

use super::{
    file::{LogFile, LogLocation},
    storage::{Extent, Storage},
};

/// Maximum sleep of the thread when nothing arrives; its watchdog's limit must be well above.
pub const TICK: Duration = Duration::from_millis(500);
/// Interval at which a failed log is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Maximum bytes of one sync. Reached only when the disk is far slower than the senders.
const BATCH_BYTES: usize = 8 << 20;

/// A handle that passes lines to the writer thread.
#[derive(Clone, Debug)]
pub struct LogWriter {
    commands: mpsc::Sender<Command>,
    written: Arc<Written>,
}

/// The thread behind a [`LogWriter`].
pub struct LogThread {
    commands: mpsc::Sender<Command>,
    thread: JoinHandle<()>,
}

/// Counts of what this process has appended and synced.
#[derive(Debug, Default)]
pub struct Written {
    lines: AtomicU64,
    bytes: AtomicU64,
}

/// The line is not in the log, or it is not certain that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The disk refused it; the log is tried again each second.
    #[error("the log cannot be written")]
    Unwritable,
    /// The process is stopping.
    #[error("the log is closed")]
    Closed,
}

#[derive(Debug)]
enum Command {
    Append { line: Bytes, answer: oneshot::Sender<Result<(), AppendError>> },
    Move { location: LogLocation, answer: oneshot::Sender<io::Result<()>> },
    Close,
}

/// Opens the log and starts its thread. `writable` is met while lines can be taken; a log that cannot be
/// opened is tried again each second.
pub fn start<S: Storage>(
    storage: S,
    location: LogLocation,
    ticker: Ticker,
    writable: Condition,
) -> io::Result<(LogWriter, LogThread)> {
    let state = State::open(&storage, location, None, &writable);
    let (commands, inbox) = mpsc::channel();
    let written = Arc::<Written>::default();
    let mut worker = Worker { storage, state, writable, written: written.clone() };
    let thread =
        thread::Builder::new().name("log-writer".into()).spawn(move || worker.run(&inbox, &ticker))?;
    Ok((LogWriter { commands: commands.clone(), written }, LogThread { commands, thread }))
}

impl LogWriter {
    /// Returns once the line is synced.
    ///
    /// # Cancel safety
    /// The line may be written although no task waits for it any more.
    pub async fn append(&self, line: Bytes) -> Result<(), AppendError> {
        let (answer, outcome) = oneshot::channel();
        self.commands.send(Command::Append { line, answer }).map_err(|_| AppendError::Closed)?;
        outcome.await.unwrap_or(Err(AppendError::Closed))
    }

    /// Continues in another file, or with other rules for beginning a new one. The old location stays
    /// in use if the new one cannot be opened.
    pub async fn move_to(&self, location: LogLocation) -> io::Result<()> {
        let (answer, outcome) = oneshot::channel();
        let closed = || io::Error::other(AppendError::Closed);
        self.commands.send(Command::Move { location, answer }).map_err(|_| closed())?;
        outcome.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Returns the counts of what this process has appended and synced.
    pub fn written(&self) -> &Written {
        &self.written
    }
}

impl LogThread {
    /// Writes the waiting lines, then ends the thread.
    pub fn close(self) {
        // A thread that is gone already has nothing left to write.
        let _ = self.commands.send(Command::Close);
        if self.thread.join().is_err() {
            error!("the log writer panicked");
        }
    }
}

impl Written {
    /// Returns the lines since the process started.
    pub fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    /// Returns their bytes, newlines included.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

struct Worker<S: Storage> {
    storage: S,
    state: State<S>,
    writable: Condition,
    written: Arc<Written>,
}

enum State<S: Storage> {
    Open(LogFile<S>),
    Failed { location: LogLocation, durable: Option<Extent>, tried: Instant },
}

impl<S: Storage> State<S> {
    fn open(storage: &S, location: LogLocation, durable: Option<Extent>, writable: &Condition) -> Self {
        match LogFile::open(storage.clone(), location.clone(), durable) {
            Ok(log) => {
                writable.met();
                Self::Open(log)
            }
            Err(error) => {
                error!(%error, "the log cannot be opened");
                writable.unmet(error.to_string());
                Self::Failed { location, durable, tried: Instant::now() }
            }
        }
    }
}

/// A line and the sender that waits for it.
type Waiting = (Bytes, oneshot::Sender<Result<(), AppendError>>);

impl<S: Storage> Worker<S> {
    fn run(&mut self, inbox: &mpsc::Receiver<Command>, ticker: &Ticker) {
        let mut closing = false;
        while !closing {
            let mut next = match inbox.recv_timeout(TICK) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            ticker.tick();
            self.recover();
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while let Some(command) = next {
                match command {
                    Command::Append { line, answer } => {
                        bytes += line.len();
                        batch.push((line, answer));
                    }
                    Command::Move { location, answer } => {
                        self.commit(std::mem::take(&mut batch), ticker);
                        // Whoever asked may be gone; the log has moved all the same.
                        let _ = answer.send(self.move_to(location));
                    }
                    Command::Close => {
                        closing = true;
                        break;
                    }
                }
                next = if bytes < BATCH_BYTES { inbox.try_recv().ok() } else { None };
            }
            self.commit(batch, ticker);
        }
    }

    /// Appends and syncs, file by file where a new one is begun in between, and answers.
    fn commit(&mut self, mut batch: Vec<Waiting>, ticker: &Ticker) {
        while !batch.is_empty() {
            let State::Open(log) = &mut self.state else {
                return batch.into_iter().for_each(|(_, answer)| reply(answer, Err(AppendError::Unwritable)));
            };
            let lines: Vec<&Bytes> = batch.iter().map(|(line, _)| line).collect();
            match log.append(&lines) {
                Ok(count) => {
                    let bytes: usize = lines[..count].iter().map(|line| line.len()).sum();
                    self.written.lines.fetch_add(count as u64, Ordering::Relaxed);
                    self.written.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
                    batch.drain(..count).for_each(|(_, answer)| reply(answer, Ok(())));
                }
                Err(error) => {
                    error!(%error, refused = batch.len(), "the log cannot be written");
                    self.writable.unmet(error.to_string());
                    let (location, durable) = (log.location().clone(), Some(log.durable()));
                    self.state = State::Failed { location, durable, tried: Instant::now() };
                }
            }
            ticker.tick();
        }
    }

    /// Tries a failed log again, but not more often than [`RETRY`]: a failing disk is slow as it is.
    fn recover(&mut self) {
        let State::Failed { location, durable, tried } = &mut self.state else { return };
        if tried.elapsed() < RETRY {
            return;
        }
        *tried = Instant::now();
        if let Err(error) = location.probe(&self.storage) {
            return self.writable.unmet(error.to_string());
        }
        self.state = State::open(&self.storage, location.clone(), *durable, &self.writable);
        if matches!(self.state, State::Open(_)) {
            info!("the log can be written again");
        }
    }

    fn move_to(&mut self, location: LogLocation) -> io::Result<()> {
        let (current, durable) = match &self.state {
            State::Open(log) => (log.location(), Some(log.durable())),
            State::Failed { location, durable, .. } => (location, *durable),
        };
        if *current == location {
            return Ok(());
        }
        let durable = durable.filter(|_| current.path == location.path);
        match LogFile::open(self.storage.clone(), location, durable) {
            Ok(log) => {
                self.writable.met();
                self.state = State::Open(log);
                Ok(())
            }
            Err(error) => {
                warn!(%error, "the log stays where it is");
                Err(error)
            }
        }
    }
}

/// Answers a sender, which may have closed its connection meanwhile.
fn reply(answer: oneshot::Sender<Result<(), AppendError>>, outcome: Result<(), AppendError>) {
    let _ = answer.send(outcome);
}

#[cfg(test)]
mod tests;
