//! The thread that owns the log. It takes everything that waits, writes it at once, syncs once, and then
//! replies to all: the more wait, the cheaper each is. A second thread zeroes segments ahead of need.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use super::log::{Appended, Log};
use super::view::View;
use super::{AppendError, Seq, WriteState};

/// Interval at which the thread ticks, and checks whether a failure is over.
const TICK: Duration = Duration::from_secs(1);

type Reply = oneshot::Sender<Result<Seq, AppendError>>;

/// The records that wait, shared by the appenders and the thread.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    records: Vec<Bytes>,
    replies: Vec<Reply>,
    /// Set while the thread sleeps and must be woken.
    idle: bool,
    closing: bool,
}

impl Queue {
    /// Puts a record behind those that wait already.
    pub(super) fn push(&self, record: Bytes) -> oneshot::Receiver<Result<Seq, AppendError>> {
        let (reply, answer) = oneshot::channel();
        let mut waiting = self.waiting();
        // Once the thread is told to end nobody may come to wait for it; the answer is then "closed".
        if !waiting.closing {
            waiting.records.push(record);
            waiting.replies.push(reply);
        }
        let wake = std::mem::take(&mut waiting.idle);
        drop(waiting);
        if wake {
            self.wake.notify_one();
        }
        answer
    }

    /// Tells the thread to finish what waits and to end.
    pub(super) fn close(&self) {
        self.waiting().closing = true;
        self.wake.notify_one();
    }

    /// Moves the waiting records to these empty lists, or none after a tick. Returns `false` once the queue is closed
    /// and empty.
    fn take(&self, records: &mut Vec<Bytes>, replies: &mut Vec<Reply>) -> bool {
        let mut waiting = self.waiting();
        if waiting.records.is_empty() && !waiting.closing {
            waiting.idle = true;
            let (woken, _) = self.wake.wait_timeout(waiting, TICK).unwrap_or_else(PoisonError::into_inner);
            waiting = woken;
            waiting.idle = false;
        }
        std::mem::swap(&mut waiting.records, records);
        std::mem::swap(&mut waiting.replies, replies);
        !(records.is_empty() && waiting.closing)
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
}

impl Writer {
    pub(super) fn new(
        log: Log,
        queue: Arc<Queue>,
        watermark: watch::Sender<Seq>,
        write_state: Arc<Mutex<WriteState>>,
        tidy: Tidy,
    ) -> Self {
        Self { log, queue, watermark, write_state, tidy }
    }

    /// Runs until the queue is closed and empty.
    pub(super) fn spawn(mut self, tick: impl Fn() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
        thread::Builder::new().name("journal".into()).spawn(move || self.run(&tick))
    }

    fn run(&mut self, tick: &impl Fn()) {
        let (mut records, mut replies) = (Vec::new(), Vec::new());
        let mut probed = Instant::now();
        // Whether the disk takes anything at all is better known before the first event.
        self.log.probe();
        self.publish_condition();
        tick();
        while self.queue.take(&mut records, &mut replies) {
            tick();
            if !records.is_empty() {
                self.append(&records, &mut replies, tick);
                records.clear();
            }
            if probed.elapsed() >= TICK && *self.log.write_state() != WriteState::Writable {
                self.log.probe();
                self.publish_condition();
                probed = Instant::now();
            }
        }
    }

    /// Appends the records. Each sync is reported as soon as it is over: to the appenders, the readers and the
    /// watchdog. After a refusal the rest is refused, too.
    fn append(&mut self, records: &[Bytes], replies: &mut Vec<Reply>, tick: &impl Fn()) {
        let mut rest = records;
        let mut replies = replies.drain(..);
        while !rest.is_empty() {
            let had_next = self.log.view().has_next();
            let Appended { first, accepted, refusal } = self.log.append_part(rest);
            tick();
            self.publish_condition();
            if accepted > 0 {
                self.watermark.send_replace(self.log.view().watermark());
            }
            for (reply, seq) in replies.by_ref().take(accepted).zip(first..) {
                // Whoever does not wait any more has lost interest, not the event.
                let _ = reply.send(Ok(seq));
            }
            if had_next && !self.log.view().has_next() {
                self.tidy.request();
            }
            rest = &rest[accepted..];
            if let Some(refusal) = refusal {
                replies.by_ref().for_each(|reply| _ = reply.send(Err(refusal)));
                rest = &[];
            }
        }
    }

    fn publish_condition(&self) {
        let mut published = self.write_state.lock().unwrap_or_else(PoisonError::into_inner);
        if *published != *self.log.write_state() {
            tracing::info!(condition = ?self.log.write_state(), "journal");
            published.clone_from(self.log.write_state());
        }
    }
}

impl Drop for Writer {
    /// Refuses the records that wait, however the thread ends.
    fn drop(&mut self) {
        let mut waiting = self.queue.waiting();
        *waiting = Waiting { closing: true, ..Waiting::default() };
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
