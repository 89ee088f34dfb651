//! Which event is started next, and what stands in the way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use jiff::Timestamp;
use tracing::{error, warn};

use super::complete::{Attempt, Begun, Ended, Finished, Stored};
use super::due::DueQueue;
use super::feed::Feed;
use super::{DispatchContext, Dispatcher, Held, Origin, Phase, Started};
use crate::deliver::channels::Channel;
use crate::deliver::dispatch::breaker::{self, Allowance};
use crate::event::Event;
use crate::journal::Seq;
use crate::state::{
    Admission, CommitState, Death, DestinationId, Ending, EventAt, EventReader, Ledger, Lifecycle, Record,
    WaitingEvent,
};
use crate::triage::{Fate, Item};

/// Maximum number of events that the ledger is asked about at once.
const ADMITTED_AT_ONCE: usize = 64;

impl Dispatcher {
    /// Starts all that may start now. Answers when more may, if only time stands in the way.
    pub(super) fn start_what_may_start(&mut self) -> Option<Instant> {
        loop {
            let now = Instant::now();
            self.look_at_front();
            self.use_free_room();
            if let Some(gate) = self.closed_gate(now) {
                return gate.opens_at;
            }
            let Some(attempt) = self.next_attempt(now) else { return self.due.next_due() };
            if let Some(rate) = &mut self.rate {
                rate.begin(now);
            }
            self.begin(attempt);
        }
    }

    /// Returns the first thing that forbids any start.
    fn closed_gate(&mut self, now: Instant) -> Option<Gate> {
        let shut = Some(Gate { opens_at: None });
        if self.phase != Phase::Delivering || !self.discards.is_empty() {
            return shut;
        }
        // A file is not there: an attempt could only fail, or go out without its proof.
        if self.channel.waits_for().is_some() {
            return shut;
        }
        if *self.context.commit_state.borrow_and_update() != CommitState::Good {
            return shut;
        }
        self.paused_until = self.paused_until.filter(|until| *until > now);
        if self.paused_until.is_some() {
            return Some(Gate { opens_at: self.paused_until });
        }
        match self.breaker.allowance(now) {
            Allowance::NotUntil(until) => return Some(Gate { opens_at: Some(until) }),
            Allowance::UpTo(allowed) if self.in_flight.len() >= allowed.min(self.limit.allowed()) => {
                return shut;
            }
            Allowance::UpTo(_) => {}
        }
        if self.is_share_used_up() {
            return shut;
        }
        let ready_at = self.rate.as_mut().map(|rate| rate.ready_at(now)).filter(|at| *at > now)?;
        Some(Gate { opens_at: Some(ready_at) })
    }

    /// Returns whether another event would exceed the destination's share of memory. One event of any size may always
    /// be in flight.
    fn is_share_used_up(&self) -> bool {
        let bytes = self.in_flight_bytes + self.held_bytes();
        !self.in_flight.is_empty() && bytes >= self.context.in_flight_budget.share()
    }

    /// Returns whether the events held in memory leave no place for the event at the front.
    fn is_front_kept_by_held(&self) -> bool {
        let bytes = self.in_flight_bytes + self.held_bytes();
        self.admitted > 0
            && !self.held.is_empty()
            && (self.held.len() + self.in_flight.len() >= self.destination.concurrency
                || bytes >= self.context.in_flight_budget.share())
    }

    /// Moves what is held in memory to the waiting room, as far as that has room again.
    fn use_free_room(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let mut ledgers = self.context.ledgers();
        let Some(ledger) = ledgers.get_mut(self.id) else { return };
        let due = &mut self.due;
        self.held.retain(|seq, Held { record, event, postponed }| {
            let received_at_ms = event.envelope.received_at_ms;
            let moved =
                ledger.postpone_fresh(*seq, Record { bytes: record.clone(), received_at_ms }, postponed);
            if moved == Ok(false) {
                due.remove(*seq);
            }
            moved.is_err()
        });
    }

    fn held_bytes(&self) -> u64 {
        self.held.values().map(|held| held.record.len() as u64).sum()
    }

    /// Returns a waiting event that is due or a fresh one, in turn, so that neither starves the other.
    fn next_attempt(&mut self, now: Instant) -> Option<Attempt> {
        let attempt = match self.last_origin {
            Origin::Fresh => self.next_waiting(now).or_else(|| self.next_fresh()),
            Origin::Waiting => self.next_fresh().or_else(|| self.next_waiting(now)),
        }?;
        self.last_origin = attempt.origin;
        Some(attempt)
    }

    fn next_waiting(&mut self, now: Instant) -> Option<Attempt> {
        while let Some(seq) = self.due.pop_due(now) {
            if let Some(attempt) = self.attempt_at(seq, None) {
                return Some(attempt);
            }
        }
        let probes = self.breaker.phase(now) == breaker::Phase::HalfOpen && self.is_front_kept_by_held();
        while let Some((seq, due_at)) = self.early.next(&mut self.due, probes) {
            if let Some(attempt) = self.attempt_at(seq, Some(due_at)) {
                return Some(attempt);
            }
            self.early.ended();
        }
        None
    }

    /// Returns an attempt at a waiting event; `early` is the time at which it would be due, if it is made earlier. An
    /// event that a command or a rule has removed from the waiting room is not there any more.
    fn attempt_at(&mut self, seq: Seq, early: Option<Instant>) -> Option<Attempt> {
        if let Some(Held { record, event, postponed }) = self.held.remove(&seq) {
            return Some(Attempt { early, ..read(seq, postponed.attempts, record, event) });
        }
        let waiting =
            self.context.ledger(self.id, |ledger| Some((ledger.event(seq)?, ledger.waiting_event(seq)?)));
        let (event, WaitingEvent { size, postponed, .. }) = waiting?;
        let (attempts, stored) = (postponed.attempts, Stored::At(event));
        Some(Attempt { seq, origin: Origin::Waiting, attempts, size, early, stored })
    }

    /// Returns the event at the front, unless the held events keep its place.
    fn next_fresh(&mut self) -> Option<Attempt> {
        if self.admitted == 0 || self.is_front_kept_by_held() {
            return None;
        }
        let Some(Item::Event { seq, record, event, .. }) = self.feed.pop() else { return None };
        self.admitted -= 1;
        self.look_at_front();
        Some(read(seq, 0, record, event))
    }

    /// Asks the ledger about the events at the front, past all that can never be sent: sequences that are no
    /// events, damaged ones, and events that were finished above the cursor before a restart. Done even while
    /// nothing may start, since the ledger learns from it how old the oldest event is. Several at once, since all
    /// dispatchers share the lock.
    pub(super) fn look_at_front(&mut self) {
        while self.admitted == 0 && self.feed.get(0).is_some() {
            // Asked before the lock is taken: rules may have to be evaluated for it.
            let items = (0..ADMITTED_AT_ONCE).map_while(|index| self.feed.get(index));
            let fates: Vec<_> =
                items.map(|item| self.context.triage.fate(&self.destination.name, item)).collect();
            match self.admit(&fates) {
                Look::Further => {}
                Look::Enough => return,
                Look::Newer => return self.wait_for_newer(),
                // Nobody counts what becomes of its events any more, so nothing may become of them.
                Look::Removed => {
                    self.phase = Phase::Stopping;
                    return;
                }
            }
        }
    }

    /// Admits events at the front, or ends those that are not for the destination, in the order of their fates.
    fn admit(&mut self, fates: &[Fate]) -> Look {
        let mut ledgers = self.context.ledgers();
        let Some(ledger) = ledgers.get_mut(self.id) else { return Look::Removed };
        for fate in fates {
            let Some(item) = self.feed.get(self.admitted) else { return Look::Further };
            let admission = match item {
                // Only the front can be taken out.
                _ if self.admitted > 0 && *fate != Fate::Deliver => return Look::Enough,
                Item::Event { seq, event, record, .. } => meet(*fate, ledger, *seq, event, record),
                _ if self.admitted > 0 => return Look::Enough,
                Item::Newer { seq, .. } if ledger.needs(*seq) => return Look::Newer,
                Item::Newer { .. } => Admission::AlreadyFinished,
                Item::Damaged { first, last } => {
                    let damaged = ledger.damaged(*first, *last);
                    error!(destination = ledger.name(), first, last, damaged, "journal is damaged");
                    Admission::AlreadyFinished
                }
                Item::Void { first, last } => {
                    ledger.void(*first, *last);
                    Admission::AlreadyFinished
                }
            };
            match admission {
                Admission::Yes => self.admitted += 1,
                Admission::AlreadyFinished if self.admitted == 0 => drop(self.feed.pop()),
                Admission::AlreadyFinished | Admission::WindowFull => return Look::Enough,
            }
        }
        Look::Further
    }

    /// Reads no further: an event that another version can read is passed over by no means, and what it waits for is
    /// shown. What waits goes on.
    fn wait_for_newer(&self) {
        if let Some(Item::Newer { reason, .. }) = self.feed.get(0) {
            self.context.report.blocked.set(&self.destination.name, Some(&**reason));
        }
    }

    fn begin(&mut self, attempt: Attempt) {
        let bytes = if attempt.origin == Origin::Fresh { attempt.size } else { 0 };
        self.in_flight_bytes += attempt.size;
        self.started.insert(attempt.seq, Started { origin: attempt.origin, bytes });
        let begun =
            Begun { generation: self.breaker.generation(), era: self.limit.begin(self.in_flight.len() + 1) };
        let channel = Arc::clone(&self.channel);
        let events = self.context.events.clone();
        self.in_flight.push(carry_out(attempt, begun, channel, events).boxed());
    }

    /// Drops the oldest events of a destination that bounds its own backlog, until the rest fits.
    pub(super) fn drop_beyond_backlog(&mut self) {
        let Some(limit) = self.destination.backlog else { return };
        let mut dropped = 0_u64;
        while self.backlog_bytes() > limit && self.drop_oldest() {
            dropped += 1;
        }
        if dropped > 0 {
            warn!(destination = %self.destination.name, dropped, "backlog is over its size, the oldest events are dropped");
        }
    }

    fn backlog_bytes(&self) -> u64 {
        let unread = self.context.log.bytes_after(self.feed.position());
        let started: u64 = self.started.values().map(|started| started.bytes).sum();
        let waiting = self.context.ledger(self.id, |ledger| ledger.waiting_bytes());
        waiting + self.held_bytes() + started + self.feed.buffered_bytes() + unread
    }

    /// Drops the oldest event, and returns whether there was one. One in flight is dropped too, whatever its outcome:
    /// while it is pending, it keeps its segment of the journal and everything after it.
    fn drop_oldest(&mut self) -> bool {
        let oldest_started = self.started.first_key_value().map(|(seq, _)| *seq);
        let Some(seq) = self.due.oldest().into_iter().chain(oldest_started).min() else {
            return self.drop_oldest_fresh();
        };
        self.due.remove(seq);
        let held = self.held.remove(&seq).map(|_| Origin::Fresh);
        let origin =
            self.started.remove(&seq).map(|started| started.origin).or(held).unwrap_or(Origin::Waiting);
        self.finish(origin, seq, Ending::Dropped);
        true
    }

    fn drop_oldest_fresh(&mut self) -> bool {
        self.look_at_front();
        let Some(attempt) = self.next_fresh() else { return false };
        self.finish(attempt.origin, attempt.seq, Ending::Dropped);
        true
    }
}

/// Result of a look at the events at the front.
enum Look {
    /// All of them are past or admitted.
    Further,
    /// The next one has to wait.
    Enough,
    /// The next one can be read by a later version of Visnyk only.
    Newer,
    /// The destination has no ledger any more.
    Removed,
}

/// Admits an event that is delivered to the destination, and ends every other one: then it is
/// [`Admission::AlreadyFinished`].
fn meet(fate: Fate, ledger: &mut Ledger, seq: Seq, event: &Event, record: &Bytes) -> Admission {
    if fate != Fate::Deliver && !ledger.admits(seq) {
        return Admission::WindowFull;
    }
    let ending = match fate {
        Fate::Deliver => return ledger.begin(seq, event.envelope.received_at_ms),
        Fate::DeadLetter => return dead_letter_for_error(ledger, seq, event, record),
        Fate::Filtered => Ending::Filtered,
        Fate::Dropped => Ending::Dropped,
    };
    ledger.finish_fresh(seq, ending);
    Admission::AlreadyFinished
}

/// Makes an event a dead letter of which an expression of the destination failed. Without room for it, it is delivered.
fn dead_letter_for_error(ledger: &mut Ledger, seq: Seq, event: &Event, record: &Bytes) -> Admission {
    let received_at_ms = event.envelope.received_at_ms;
    let death = Death {
        attempts: 0,
        died_at_ms: Timestamp::now().as_millisecond(),
        reason: "an expression of a rule or of the destination failed, and onError is DeadLetter".into(),
    };
    let record = Record { bytes: record.clone(), received_at_ms };
    match ledger.dead_letter_fresh(seq, record, &death) {
        Ok(_) => Admission::AlreadyFinished,
        Err(_) => ledger.begin(seq, received_at_ms),
    }
}

/// Something that forbids any start.
struct Gate {
    /// The moment at which it opens by itself; `None`: the end of an attempt, a command or the disk opens it.
    opens_at: Option<Instant>,
}

/// Makes an attempt at an event that is not in the waiting room.
fn read(seq: Seq, attempts: u32, record: Bytes, event: Arc<Event>) -> Attempt {
    let size = record.len() as u64;
    let stored = Stored::Read { record, event };
    Attempt { seq, origin: Origin::Fresh, attempts, size, early: None, stored }
}

async fn carry_out(
    attempt: Attempt,
    begun: Begun,
    channel: Arc<dyn Channel>,
    events: EventReader,
) -> Finished {
    let start = Instant::now();
    let Attempt { seq, origin, attempts, size, early, stored } = attempt;
    let ended = match load(stored, &events).await {
        Ok((record, event)) => {
            let result = channel.send(&event, Timestamp::now()).await;
            Ended::Answered { record, event, result }
        }
        Err(ended) => ended,
    };
    let took = start.elapsed();
    Finished { seq, origin, attempts: attempts + 1, size, early, begun, ended, took }
}

/// Loads the event from the place of its bytes.
pub(super) async fn load(stored: Stored, events: &EventReader) -> Result<(Bytes, Arc<Event>), Ended> {
    let record = match stored {
        Stored::Read { record, event } => return Ok((record, event)),
        Stored::At(EventAt::Memory(record)) => record,
        Stored::At(EventAt::Stored(at)) => events.read(at).await.map_err(Ended::from)?,
    };
    match Event::decode(&record) {
        Ok(event) => Ok((record, Arc::new(event))),
        Err(error) if error.is_newer() => Err(Ended::Unavailable { reason: error.to_string() }),
        Err(error) => Err(Ended::Unreadable { reason: error.to_string() }),
    }
}

/// Makes a feed that begins at the destination's cursor.
pub(super) fn feed(context: &DispatchContext, id: DestinationId) -> Feed {
    let after = context.ledger(id, |ledger| ledger.read_from());
    Feed::new(Arc::clone(&context.log), Arc::clone(&context.triage), &context.tail, after)
}

/// Makes the queue of the waiting events. Each falls due by this process's clock, and never later than its own delay
/// from now.
pub(super) fn waiting_due(context: &DispatchContext, id: DestinationId) -> DueQueue {
    let now = Instant::now();
    let now_ms = Timestamp::now().as_millisecond();
    let mut due = DueQueue::default();
    context.ledger(id, |ledger| {
        for event in ledger.waiting() {
            due.insert(now + Duration::from_millis(event.postponed.remaining_ms(now_ms)), event.seq);
        }
    });
    due
}

/// Returns the end of the pause that the destination asked for before this process began.
pub(super) fn paused_until(context: &DispatchContext, id: DestinationId) -> Option<Instant> {
    let now_ms = Timestamp::now().as_millisecond();
    let remaining_ms = context.ledger(id, |ledger| ledger.pause())?.remaining_ms(now_ms);
    Some(Instant::now() + Duration::from_millis(remaining_ms))
}

/// Returns whether the destination takes events. Without a ledger there is nothing to deliver.
pub(super) fn phase(context: &DispatchContext, id: DestinationId) -> Phase {
    match context.ledgers().get(id).map(Ledger::lifecycle) {
        Some(Lifecycle::Disabled) => Phase::Disabled,
        Some(Lifecycle::Active | Lifecycle::Removed { .. }) => Phase::Delivering,
        None => Phase::Stopping,
    }
}
