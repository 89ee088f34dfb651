//! The thread that owns the log. It takes everything that waits, writes it at once, syncs once, and then
//! replies to all: the more wait, the cheaper each is. A second thread zeroes segments ahead of need.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::answers::{Answers, Appending};
use super::batch::Batch;
use super::log::{Appended, Log};
use super::view::View;
use super::{AppendError, Seq, WriteState};

/// Interval at which the thread ticks, and checks whether a failure is over.
const TICK: Duration = Duration::from_secs(1);

/// The records that wait, shared by the appenders and the thread.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    records: Records,
    /// Set while the thread sleeps and must be woken.
    idle: bool,
    closing: bool,
}

/// Records with the answers to those who wait for them.
#[derive(Default)]
struct Records {
    batch: Batch,
    answers: Arc<Answers>,
}

impl Drop for Records {
    /// Refuses the records that are not taken over.
    fn drop(&mut self) {
        self.answers.refuse(AppendError::Unavailable);
        self.answers.wake_rest();
    }
}

impl Queue {
    /// Puts a record behind those that wait already. It must be shorter than 4 GiB. `write` appends it to the buffer, and
    /// keeps all other appenders waiting meanwhile.
    pub(super) fn push(&self, write: impl FnOnce(&mut Vec<u8>)) -> Appending {
        let mut waiting = self.waiting();
        if waiting.closing {
            return Answers::refused(AppendError::Unavailable);
        }
        let Records { batch, answers } = &mut waiting.records;
        let appending = answers.of(batch.len());
        batch.push(write);
        let wake = std::mem::take(&mut waiting.idle);
        drop(waiting);
        if wake {
            self.wake.notify_one();
        }
        appending
    }

    /// Tells the thread to finish what waits and to end.
    pub(super) fn close(&self) {
        self.waiting().closing = true;
        self.wake.notify_one();
    }

    /// Exchanges empty records for what waits, or for nothing after a tick; false once closed and empty.
    fn take(&self, records: &mut Records) -> bool {
        let mut waiting = self.waiting();
        if waiting.records.batch.is_empty() && !waiting.closing {
            waiting.idle = true;
            let (woken, _) = self.wake.wait_timeout(waiting, TICK).unwrap_or_else(PoisonError::into_inner);
            waiting = woken;
            waiting.idle = false;
        }
        std::mem::swap(&mut waiting.records, records);
        !(records.batch.is_empty() && waiting.closing)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// State of the writer thread.
pub(super) struct Writer {
    log: Log,
    queue: Arc<Queue>,
    watermark: watch::Sender<Seq>,
    write_state: Arc<Mutex<WriteState>>,
    tidy: Tidy,
    /// Answers to the last batch, and to the one before it.
    answers: Arc<Answers>,
    before: Arc<Answers>,
}

impl Writer {
    pub(super) fn new(
        log: Log,
        queue: Arc<Queue>,
        watermark: watch::Sender<Seq>,
        write_state: Arc<Mutex<WriteState>>,
        tidy: Tidy,
    ) -> Self {
        Self { log, queue, watermark, write_state, tidy, answers: Arc::default(), before: Arc::default() }
    }

    /// Runs until the queue is closed and empty.
    pub(super) fn spawn(mut self, tick: impl Fn() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
        thread::Builder::new().name("journal".into()).spawn(move || self.run(&tick))
    }

    fn run(&mut self, tick: &impl Fn()) {
        let mut records = Records::default();
        let mut probed = Instant::now();
        // Whether the disk takes anything at all is better known before the first event.
        self.log.probe();
        self.publish_write_state();
        tick();
        while self.queue.take(&mut records) {
            tick();
            if records.batch.is_empty() {
                self.answers.wake_rest();
            } else {
                self.append(&mut records, tick);
            }
            if probed.elapsed() >= TICK && *self.log.write_state() != WriteState::Writable {
                self.log.probe();
                self.publish_write_state();
                probed = Instant::now();
            }
        }
    }

    /// Appends the records. Each sync is reported as soon as it is over: to the appenders, the readers and the
    /// watchdog. After a refusal the rest is refused, too.
    fn append(&mut self, records: &mut Records, tick: &impl Fn()) {
        let Records { batch, answers } = records;
        // Its tasks have woken one another during a sync, unless one of them was kept from it.
        self.before.wake_rest();
        self.before = std::mem::replace(&mut self.answers, std::mem::take(answers));
        while !batch.is_empty() {
            let had_next = self.log.view().has_next();
            let Appended { first, accepted, refusal } = self.log.append_part(batch);
            tick();
            self.publish_write_state();
            if accepted > 0 {
                self.watermark.send_replace(self.log.view().watermark());
                self.answers.accept(first, accepted);
            }
            if had_next && !self.log.view().has_next() {
                self.tidy.request();
            }
            if let Some(refusal) = refusal {
                self.answers.refuse(refusal);
                break;
            }
        }
        batch.clear();
    }

    fn publish_write_state(&self) {
        let mut published = self.write_state.lock().unwrap_or_else(PoisonError::into_inner);
        if *published != *self.log.write_state() {
            tracing::info!(condition = ?self.log.write_state(), "journal");
            published.clone_from(self.log.write_state());
        }
    }
}

impl Drop for Writer {
    /// Refuses the records that wait and those that are being written, however the thread ends.
    fn drop(&mut self) {
        let closed = Waiting { closing: true, ..Waiting::default() };
        let waiting = std::mem::replace(&mut *self.queue.waiting(), closed);
        drop(waiting);
        for answers in [&self.answers, &self.before] {
            answers.refuse(AppendError::Unavailable);
            answers.wake_rest();
        }
    }
}

/// Handle of the housekeeping thread.
#[derive(Clone)]
pub(super) struct Tidy(SyncSender<Request>);

enum Request {
    Tidy,
    End,
}

impl Tidy {
    /// Starts a thread that sleeps until it is asked, and ends when told or with the last `Tidy`.
    pub(super) fn spawn(view: View) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (sender, requests): (_, Receiver<Request>) = sync_channel(1);
        let thread = thread::Builder::new().name("journal-tidy".into()).spawn(move || {
            while let Ok(Request::Tidy) = requests.recv() {
                view.tidy();
            }
        })?;
        Ok((Self(sender), thread))
    }

    /// Asks for tidying. It never waits: a request that is still open covers this one.
    pub(super) fn request(&self) {
        let _ = self.0.try_send(Request::Tidy);
    }

    /// Waits until the thread knows that it is to end.
    pub(super) fn end(&self) {
        let _ = self.0.send(Request::End);
    }
}
