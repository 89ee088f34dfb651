//! The dispatcher's loop: start what may start, then wait for the first thing that changes that.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use tracing::{debug, error, info};
use visnyk_crds::valid::Destination;
use visnyk_runtime::observe::causes::with_causes;

use super::{Command, Dispatcher, Phase, start};
use crate::deliver::channels::Channel;
use crate::deliver::dispatch::breaker::Breaker;
use crate::deliver::dispatch::rate::Rate;
use crate::journal::Seq;
use crate::state::CommitState;

/// Maximum sleep of the loop: a small part of the watchdog's bound.
const MAX_SLEEP: Duration = Duration::from_secs(2);

impl Dispatcher {
    /// Delivers until [`Command::Stop`], or until every handle is gone.
    pub async fn run(mut self) {
        info!(destination = %self.destination.name, "dispatcher started");
        // Told while its predecessor still had requests in flight.
        while let Ok(command) = self.commands.try_recv() {
            self.handle_command(command);
        }
        loop {
            self.ticker.tick();
            self.discard_if_asked();
            self.drop_beyond_backlog();
            let next_start = self.start_what_may_start();
            self.metrics.set_concurrency_limit(self.limit.allowed());
            if self.phase == Phase::Stopping && self.in_flight.is_empty() {
                break;
            }
            self.wait(next_start).await;
        }
        debug!(destination = %self.destination.name, "dispatcher stopped");
    }

    /// Waits for an ending, a command, fresh events, the state file or `next_start`, whichever is first.
    async fn wait(&mut self, next_start: Option<Instant>) {
        let longest = Instant::now() + MAX_SLEEP;
        let until = next_start.map_or(longest, |at| at.min(longest));
        tokio::select! {
            biased;
            Some(finished) = self.in_flight.next(), if !self.in_flight.is_empty() => self.complete_all(finished),
            command = self.commands.recv(), if self.phase != Phase::Stopping => self.handle_command(command.unwrap_or(Command::Stop)),
            read = self.feed.fill() => if let Err(error) = read {
                error!(destination = %self.destination.name, error = with_causes(&error), "cannot read the journal");
            },
            _ = self.context.commit_state.changed(), if *self.context.commit_state.borrow() != CommitState::Good => {}
            Ok(()) = self.watermark.changed(), if self.destination.backlog.is_some() => {}
            () = tokio::time::sleep_until(until.into()) => {}
        }
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Reconfigure(destination, channel) => self.reconfigure(*destination, channel),
            Command::Redriven(seqs) => self.redriven(&seqs),
            Command::Discard(answer) => self.discards.push(answer),
            Command::Stop => self.phase = Phase::Stopping,
        }
    }

    /// Makes redriven events due. A dispatcher that begins after the redrive has found them in the ledger, and is told
    /// of them all the same.
    fn redriven(&mut self, seqs: &[Seq]) {
        let known: HashSet<Seq> = self.due.seqs().chain(self.started.keys().copied()).collect();
        let now = Instant::now();
        for seq in seqs.iter().filter(|seq| !known.contains(seq)) {
            self.due.insert(now, *seq);
        }
    }

    /// Applies changed settings. Attempts in flight end by the old ones. The breaker starts anew only where its
    /// destination did: a changed rate or certificate says nothing about a host that is down.
    fn reconfigure(&mut self, destination: Destination, channel: Arc<dyn Channel>) {
        let moved = destination.target != self.destination.target;
        self.channel = channel;
        self.rate = destination.rate_limit.map(|limit| match self.rate.take() {
            Some(rate) => rate.changed_to(limit),
            None => Rate::new(limit),
        });
        if moved {
            self.has_failed = false;
            self.context.report.last_failures.clear(&self.destination.name);
            self.early.away();
        }
        if moved || destination.concurrency != self.destination.concurrency {
            self.breaker = Breaker::new(destination.concurrency);
            self.limit = self.limit.clone().changed_to(destination.concurrency);
        }
        if moved {
            self.limit.start_anew();
            self.paused_until = None;
            self.context.ledger(self.id, |ledger| ledger.set_pause(None));
        }
        self.destination = destination;
        if self.phase == Phase::Disabled {
            self.phase = start::phase(&self.context, self.id);
        }
        info!(destination = %self.destination.name, moved, "destination reconfigured");
    }

    /// Carries out a discard once nothing is in flight, so that no event is both delivered and dropped.
    fn discard_if_asked(&mut self) {
        if self.discards.is_empty() || !self.in_flight.is_empty() {
            return;
        }
        let through = *self.context.log.watch_watermark().borrow();
        let dropped = self.context.ledger(self.id, |ledger| ledger.discard(through, &*self.context.log));
        self.due.clear();
        self.early.clear();
        self.held.clear();
        self.feed = start::feed(&self.context, self.id);
        self.admitted = 0;
        // It may have been one of these that it could not read.
        self.context.report.blocked.set(&self.destination.name, self.channel.waits_for());
        info!(destination = %self.destination.name, dropped, "undelivered events discarded by command");
        for answer in self.discards.drain(..) {
            // A caller that went away does not want to know.
            let _ = answer.send(dropped);
        }
    }
}
