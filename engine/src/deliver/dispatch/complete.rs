//! The end of an attempt: its event is delivered, tried again later or dead-lettered, or the destination is gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use tracing::{debug, error, info, warn};

use super::{Dispatcher, Held, Origin, Phase};
use crate::deliver::channels::Delivered;
use crate::deliver::dispatch::breaker::Generation;
use crate::deliver::dispatch::limit::Era;
use crate::deliver::dispatch::verdict::{Reach, Verdict, ending, reach, verdict};
use crate::deliver::failure::{Failure, FailureKind};
use crate::deliver::retry_after;
use crate::event::Event;
use crate::journal::Seq;
use crate::state::{Death, Ending, EventAt, EventError, Ledger, Pause, Postponed, Record};

/// Delay for an event that could not be read, or for which there is no room among the dead letters.
const WAIT_FOR_ROOM: Duration = Duration::from_mins(1);

/// One try at one event, about to be made.
pub(super) struct Attempt {
    pub seq: Seq,
    pub origin: Origin,
    /// Attempts made before this one.
    pub attempts: u32,
    /// Its record's length in bytes.
    pub size: u64,
    /// The moment at which it would have been due, if it is made earlier.
    pub early: Option<Instant>,
    pub stored: Stored,
}

/// The place of the event's bytes.
pub(super) enum Stored {
    /// The encoded record and its decoded event, in memory.
    Read { record: Bytes, event: Arc<Event> },
    /// The bytes of an event in the waiting room.
    At(EventAt),
}

/// An attempt that is over.
pub(super) struct Finished {
    pub seq: Seq,
    pub origin: Origin,
    /// Attempts made, this one included.
    pub attempts: u32,
    /// Its record's length in bytes.
    pub size: u64,
    /// The moment at which it would have been due, if it was made earlier.
    pub early: Option<Instant>,
    pub begun: Begun,
    pub ended: Ended,
    pub took: Duration,
}

/// The moment at which an attempt began, as the breaker and the limit count.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    pub generation: Generation,
    pub era: Era,
}

/// Result of an attempt.
pub(super) enum Ended {
    /// The destination answered, or could not be reached.
    Answered { record: Bytes, event: Arc<Event>, result: Result<Delivered, Failure> },
    /// The stored bytes are not the event any more.
    Unreadable { reason: String },
    /// The waiting room cannot be read now.
    Unavailable { reason: String },
}

impl From<EventError> for Ended {
    fn from(error: EventError) -> Self {
        let reason = error.to_string();
        if error.is_damage() { Self::Unreadable { reason } } else { Self::Unavailable { reason } }
    }
}

/// A failed attempt and the event it was made for.
struct Failed {
    seq: Seq,
    origin: Origin,
    attempts: u32,
    early: Option<Instant>,
    record: Bytes,
    event: Arc<Event>,
    failure: Failure,
}

/// Maximum number of endings that are settled at once.
const ENDINGS_AT_ONCE: usize = 64;

impl Dispatcher {
    /// Settles this ending and all others that are there by now. Fresh events that were delivered, which almost all are,
    /// go to the ledger together: all dispatchers share its lock.
    pub(super) fn complete_all(&mut self, first: Finished) {
        let mut delivered = Vec::new();
        self.complete(first, &mut delivered);
        for _ in 1..ENDINGS_AT_ONCE {
            let Some(Some(finished)) = self.in_flight.next().now_or_never() else { break };
            self.complete(finished, &mut delivered);
        }
        if !delivered.is_empty() {
            self.context.ledger(self.id, |ledger| ledger.finish_all_fresh(&delivered, Ending::Delivered));
        }
    }

    /// Settles an ending, but for a fresh event that was delivered: its sequence goes to `delivered`.
    fn complete(&mut self, finished: Finished, delivered: &mut Vec<Seq>) {
        let Finished { seq, origin, attempts, size, early, begun, ended, took } = finished;
        self.in_flight_bytes -= size;
        if early.is_some() {
            self.early.ended();
        }
        if self.started.remove(&seq).is_none() {
            // Given up while it was in flight, and counted then.
            return;
        }
        match ended {
            Ended::Answered { event, result: Ok(Delivered { status }), .. } => {
                self.metrics.delivered(took);
                self.breaker.answered(begun.generation);
                self.limit.answered(begun.era, took);
                self.early.delivered(early.is_some(), &self.due, self.destination.concurrency);
                match origin {
                    Origin::Fresh => delivered.push(seq),
                    Origin::Waiting => self.finish(origin, seq, Ending::Delivered),
                }
                self.forget_failure();
                debug!(destination = %self.destination.name, event = %event.envelope.id, seq, attempts, status, "delivered");
            }
            Ended::Answered { record, event, result: Err(failure) } => {
                self.metrics.failed(failure.kind, took);
                self.record_outcome(&failure, begun, took);
                self.has_failed = true;
                self.context.report.last_failures.note(&self.destination.name, &failure);
                self.complete_failed(Failed { seq, origin, attempts, early, record, event, failure });
            }
            Ended::Unreadable { reason } => {
                self.finish(origin, seq, Ending::Damaged);
                error!(destination = %self.destination.name, seq, reason, "stored event is damaged");
            }
            Ended::Unavailable { reason } => {
                self.due.insert(Instant::now() + WAIT_FOR_ROOM, seq);
                error!(destination = %self.destination.name, seq, reason, "waiting event cannot be read now");
            }
        }
    }

    /// Forgets the last failure once no event waits that failed.
    fn forget_failure(&mut self) {
        if self.has_failed && self.due.oldest().is_none() {
            self.has_failed = false;
            self.context.report.last_failures.clear(&self.destination.name);
        }
    }

    /// Applies the meaning of a failure for the destination as a whole: to the breaker, to the limit in flight, and to
    /// the pause that it asks for.
    fn record_outcome(&mut self, failure: &Failure, Begun { generation, era }: Begun, took: Duration) {
        let now = Instant::now();
        let before = self.breaker.generation();
        let reach = reach(&self.destination, failure.kind);
        match reach {
            Reach::Outage => self.breaker.outage(generation, now, rand::random()),
            Reach::Refusal => self.breaker.refused(generation, now, rand::random()),
            Reach::Event => self.breaker.answered(generation),
        }
        match reach {
            _ if is_too_many(failure) => self.limit.refused(era),
            Reach::Outage => self.limit.failed(era),
            Reach::Refusal | Reach::Event => self.limit.answered(era, took),
        }
        if self.breaker.generation() != before {
            self.went_away();
        }
        let FailureKind::Status(status) = failure.kind else { return };
        if let Some(pause) = retry_after::for_destination(status, failure.retry_after) {
            self.pause(now, pause);
            info!(destination = %self.destination.name, seconds = pause.as_secs(), "destination asks to be left alone");
        }
    }

    /// Stops sending for this duration, which a restart does not shorten.
    fn pause(&mut self, now: Instant, pause: Duration) {
        if self.paused_until >= Some(now + pause) {
            return;
        }
        self.paused_until = Some(now + pause);
        let for_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        let until_ms = Timestamp::now().as_millisecond().saturating_add_unsigned(for_ms);
        self.context.ledger(self.id, |ledger| ledger.set_pause(Some(Pause { until_ms, for_ms })));
    }

    /// Notes that the destination fails as a whole: when it is back, it gets few requests at first.
    fn went_away(&mut self) {
        self.early.away();
        self.limit.start_anew();
    }

    fn complete_failed(&mut self, failed: Failed) {
        if let Some(due_at) = failed.early
            && ending(&self.destination, &failed.failure).is_none()
        {
            return self.wait_on(failed, due_at);
        }
        match verdict(&self.destination, failed.attempts, &failed.failure, rand::random()) {
            Verdict::Again(delay) => self.postpone(failed, delay),
            Verdict::Dead => self.dead_letter(failed),
            Verdict::Gone => self.disable(failed),
        }
    }

    /// Keeps an event waiting after a failed early attempt, which changes nothing for it.
    fn wait_on(&mut self, failed: Failed, due_at: Instant) {
        self.early.failed();
        let Failed { seq, attempts, failure, .. } = &failed;
        debug!(destination = %self.destination.name, seq, %failure, "early attempt failed");
        match failed.origin {
            Origin::Waiting => self.due.insert(due_at, *seq),
            Origin::Fresh => {
                let delay = due_at.saturating_duration_since(Instant::now());
                let postponed = postponed(attempts.saturating_sub(1), delay, failure);
                self.hold(failed, due_at, postponed);
            }
        }
        self.rest_if_full();
    }

    /// Disables the destination. The event stays pending where it is, and is due as soon as the destination is enabled.
    fn disable(&mut self, failed: Failed) {
        warn!(destination = %self.destination.name, event = %failed.event.envelope.id,
            "destination answered 410 and is disabled until its address changes");
        self.phase = Phase::Disabled;
        self.context.ledger(self.id, Ledger::disable);
        match failed.origin {
            Origin::Waiting => self.due.insert(Instant::now(), failed.seq),
            Origin::Fresh => {
                let postponed = postponed(failed.attempts, Duration::ZERO, &failed.failure);
                self.hold(failed, Instant::now(), postponed);
            }
        }
    }

    fn postpone(&mut self, failed: Failed, delay: Duration) {
        info!(destination = %self.destination.name, event = %failed.event.envelope.id, seq = failed.seq,
            attempts = failed.attempts, failure = %failed.failure, retry_in_seconds = delay.as_secs(), "delivery failed");
        let postponed = postponed(failed.attempts, delay, &failed.failure);
        let Failed { seq, origin, .. } = failed;
        let due_at = Instant::now() + delay;
        let waits = self.context.ledger(self.id, |ledger| match origin {
            Origin::Waiting => ledger.postpone_waiting(seq, &postponed).then_some(WaitingPlace::Waiting),
            Origin::Fresh => match ledger.postpone_fresh(seq, failed.to_record(), &postponed) {
                Ok(placed) => placed.then_some(WaitingPlace::Waiting),
                Err(_) => Some(WaitingPlace::Held),
            },
        });
        match waits {
            Some(WaitingPlace::Waiting) if failed.failure.retry_after.is_some() => {
                self.due.insert_asked(due_at, seq);
            }
            Some(WaitingPlace::Waiting) => self.due.insert(due_at, seq),
            Some(WaitingPlace::Held) => {
                self.hold(failed, due_at, postponed);
                self.rest_if_full();
            }
            None => {}
        }
    }

    fn hold(&mut self, failed: Failed, due_at: Instant, postponed: Postponed) {
        let Failed { seq, record, event, .. } = failed;
        self.due.insert(due_at, seq);
        self.held.insert(seq, Held { record, event, postponed });
    }

    /// Trips the breaker if so many events are held that there is no place for another. Such a destination fails as a
    /// whole, whatever its answers are; from now on single attempts find out whether it is back.
    fn rest_if_full(&mut self) {
        if self.held.len() >= self.destination.concurrency
            && self.breaker.trip(Instant::now(), rand::random())
        {
            self.went_away();
        }
    }

    /// Makes the event a dead letter. Without room for another dead letter the event keeps waiting.
    fn dead_letter(&mut self, failed: Failed) {
        let death = Death {
            attempts: failed.attempts,
            died_at_ms: Timestamp::now().as_millisecond(),
            reason: failed.failure.to_string().into(),
        };
        let Failed { seq, origin, .. } = failed;
        let placed = self.context.ledgers().get_mut(self.id).map(|ledger| match origin {
            Origin::Waiting => ledger.dead_letter_waiting(seq, &death),
            Origin::Fresh => ledger.dead_letter_fresh(seq, failed.to_record(), &death),
        });
        let Some(placed) = placed else { return };
        if placed.is_err() {
            warn!(destination = %self.destination.name, seq, "no room for another dead letter, the event keeps waiting");
            return self.postpone(failed, WAIT_FOR_ROOM);
        }
        error!(destination = %self.destination.name, event = %failed.event.envelope.id, seq,
            attempts = failed.attempts, failure = %failed.failure, "event is a dead letter");
    }

    pub(super) fn finish(&self, origin: Origin, seq: Seq, ending: Ending) {
        self.context.ledger(self.id, |ledger| match origin {
            Origin::Fresh => ledger.finish_fresh(seq, ending),
            Origin::Waiting => ledger.finish_waiting(seq, ending),
        });
    }
}

/// Returns whether a failure says that the destination has more requests than it can take.
fn is_too_many(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::Status(429) => true,
        FailureKind::Status(503) => failure.retry_after.is_some(),
        _ => false,
    }
}

fn postponed(attempts: u32, delay: Duration, failure: &Failure) -> Postponed {
    let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    Postponed {
        attempts,
        due_at_ms: Timestamp::now().as_millisecond().saturating_add_unsigned(delay_ms),
        delay_ms,
        last_error: failure.to_string().into(),
    }
}

/// The place in which a failed event waits for its next attempt.
enum WaitingPlace {
    Waiting,
    Held,
}

impl Failed {
    fn to_record(&self) -> Record {
        Record { bytes: self.record.clone(), received_at_ms: self.event.envelope.received_at_ms }
    }
}
