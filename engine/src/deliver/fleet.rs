//! The dispatchers of a process: one per destination of the active configuration, started, reconfigured and stopped as
//! that changes. A change of one destination restarts no other dispatcher.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use visnyk_crds::valid::Destination;
use visnyk_runtime::blocking::run_blocking;
use visnyk_runtime::observe::watchdog::{BOUND, Watchdog};

use super::channels::http::client::Outbound;
use super::channels::{self, Channel};
use super::dispatch::{Command, DispatchContext, Dispatcher};
use super::report::DeliveryReport;
use crate::journal::Seq;
use crate::spool::Spool;
use crate::state::DestinationId;
use crate::triage::Ruling;

/// The dispatchers of a process.
pub struct Fleet {
    context: DispatchContext,
    outbound: Outbound,
    watchdog: Watchdog,
    /// Runtime of the dispatchers.
    runtime: Handle,
    running: HashMap<String, Running>,
    /// Dispatchers that were told to stop. They may have requests in flight.
    stopping: HashMap<String, JoinHandle<()>>,
}

struct Running {
    id: DestinationId,
    destination: Destination,
    channel: Arc<dyn Channel>,
    /// Unbounded: a dispatcher that waits for its predecessor reads none, and no caller may wait for it.
    commands: mpsc::UnboundedSender<Command>,
    task: JoinHandle<()>,
}

/// A destination that no dispatcher serves.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no destination {0} is being delivered to")]
pub struct NotRunning(pub String);

impl Fleet {
    /// Makes a fleet without dispatchers; [`Fleet::apply`] starts them. The reader of their events starts at once. All of
    /// it runs on `runtime`.
    pub fn new(spool: &Spool, outbound: Outbound, watchdog: Watchdog, runtime: Handle) -> Self {
        let context = DispatchContext::new(spool, watchdog.register("event reader", BOUND), &runtime);
        let (running, stopping) = (HashMap::new(), HashMap::new());
        Self { context, outbound, watchdog, runtime, running, stopping }
    }

    /// Returns the reports of its dispatchers.
    pub fn report(&self) -> DeliveryReport {
        self.context.report.clone()
    }

    /// Decides by `ruling` from now on, and makes the running dispatchers those of `destinations`, each of which the ledgers already know, with its
    /// starting cursor committed. Files are read while others can use the fleet. Call it from one task only.
    pub async fn apply(fleet: &Mutex<Self>, destinations: &[(DestinationId, Destination)], ruling: Ruling) {
        let (changed, outbound) = {
            let fleet = fleet.lock().await;
            (fleet.changed(destinations), fleet.outbound.clone())
        };
        let opened = run_blocking(|| {
            let open = |(destination, before): (&Destination, Option<Arc<dyn Channel>>)| {
                let channel = channels::open(destination, &outbound, before.as_deref());
                (destination.name.clone(), channel)
            };
            changed.into_iter().map(open).collect()
        });
        let mut fleet = fleet.lock().await;
        fleet.context.decide_by(ruling);
        fleet.install(destinations, opened);
    }

    /// Gives new opened to the destinations of which the peers folder or the Secrets say something new. Files are read
    /// while others can use the fleet.
    pub async fn reload_files(fleet: &Mutex<Self>) {
        let running: Vec<_> = {
            let fleet = fleet.lock().await;
            fleet.running.values().map(|one| (one.destination.clone(), Arc::clone(&one.channel))).collect()
        };
        let refreshed: Vec<_> = run_blocking(|| {
            let news =
                |(destination, channel): (_, Arc<dyn Channel>)| Some((destination, channel.refreshed()?));
            running.into_iter().filter_map(news).collect()
        });
        let mut fleet = fleet.lock().await;
        for (destination, channel) in refreshed {
            fleet.replace(destination, channel);
        }
    }

    /// Returns the destinations that need another channel, each with the channel that it has.
    fn changed<'a>(
        &self,
        destinations: &'a [(DestinationId, Destination)],
    ) -> Vec<(&'a Destination, Option<Arc<dyn Channel>>)> {
        let change = |(id, wanted): &'a (DestinationId, Destination)| {
            let running = self.running.get(&wanted.name).filter(|running| running.id == *id);
            let is_changed = running.is_none_or(|running| running.destination != *wanted);
            is_changed.then(|| (wanted, running.map(|running| Arc::clone(&running.channel))))
        };
        destinations.iter().filter_map(change).collect()
    }

    fn install(
        &mut self,
        destinations: &[(DestinationId, Destination)],
        mut opened: HashMap<String, Arc<dyn Channel>>,
    ) {
        let gone: Vec<String> = self
            .running
            .iter()
            // One that was forgotten and is back by the same name has another ledger.
            .filter(|(name, running)| {
                !destinations.iter().any(|(id, wanted)| wanted.name == **name && *id == running.id)
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.stop(&name);
        }
        self.context.in_flight_budget.divide_among(destinations.len());
        for (id, destination) in destinations {
            let Some(channel) = opened.remove(&destination.name) else { continue };
            if self.running.contains_key(&destination.name) {
                self.replace(destination.clone(), channel);
            } else {
                self.start(*id, destination, channel);
            }
        }
    }

    /// Returns the channel of a destination that is being delivered to.
    pub fn channel(&self, name: &str) -> Option<Arc<dyn Channel>> {
        self.running.get(name).map(|running| Arc::clone(&running.channel))
    }

    /// Tells a dispatcher that dead letters of its destination are waiting again.
    pub fn redriven(&self, name: &str, seqs: Vec<Seq>) -> Result<(), NotRunning> {
        self.tell(name, Command::Redriven(seqs))
    }

    /// Drops all that is undelivered to a destination; answers how many events that were.
    pub fn discard(&self, name: &str) -> Result<oneshot::Receiver<u64>, NotRunning> {
        let (answer, answered) = oneshot::channel();
        self.tell(name, Command::Discard(answer))?;
        Ok(answered)
    }

    /// Stops every dispatcher and waits until what is in flight has ended, at most `grace`. What has not ended by
    /// then is delivered again after the next start.
    pub async fn stop_all(&mut self, grace: Duration) {
        let names: Vec<String> = self.running.keys().cloned().collect();
        for name in names {
            self.stop(&name);
        }
        let ended = futures::future::join_all(self.stopping.drain().map(|(_, task)| task));
        if tokio::time::timeout(grace, ended).await.is_err() {
            tracing::warn!("some deliveries had not ended when the grace was over, they will be repeated");
        }
    }

    fn start(&mut self, id: DestinationId, destination: &Destination, channel: Arc<dyn Channel>) {
        let (commands, receiver) = mpsc::unbounded_channel();
        self.context.report.blocked.set(&destination.name, channel.waits_for());
        let previous = self.stopping.remove(&destination.name);
        let (context, watchdog) = (self.context.clone(), self.watchdog.clone());
        let (served, its_channel) = (destination.clone(), Arc::clone(&channel));
        let task = self.runtime.spawn(async move {
            if let Some(previous) = previous {
                // Two dispatchers of one destination would send the same events.
                let _ = previous.await;
            }
            let ticker = watchdog.register(format!("dispatcher {}", served.name), BOUND);
            Dispatcher::new(context, id, served, its_channel, receiver, ticker).run().await;
        });
        let running = Running { id, destination: destination.clone(), channel, commands, task };
        self.running.insert(destination.name.clone(), running);
    }

    fn replace(&mut self, destination: Destination, channel: Arc<dyn Channel>) {
        let command = Command::Reconfigure(Box::new(destination.clone()), Arc::clone(&channel));
        if self.tell(&destination.name, command).is_ok()
            && let Some(running) = self.running.get_mut(&destination.name)
        {
            self.context.report.blocked.set(&destination.name, channel.waits_for());
            running.destination = destination;
            running.channel = channel;
        }
    }

    fn stop(&mut self, name: &str) {
        let _ = self.tell(name, Command::Stop);
        self.context.report.blocked.set(name, None);
        self.context.report.last_failures.clear(name);
        self.context.report.metrics.stopped(name);
        if let Some(running) = self.running.remove(name) {
            self.stopping.insert(name.to_owned(), running.task);
        }
    }

    fn tell(&self, name: &str, command: Command) -> Result<(), NotRunning> {
        let not_running = || NotRunning(name.to_owned());
        let running = self.running.get(name).ok_or_else(not_running)?;
        running.commands.send(command).map_err(|_| not_running())
    }
}
