//! The dispatchers of a process: one per destination of the configuration in force, started, reconfigured and
//! stopped as that changes, none of them ever restarted for another's sake.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use visnyk_crds::valid::Destination;
use visnyk_runtime::blocking::run_blocking;
use visnyk_runtime::observe::watchdog::{BOUND, Watchdog};

use super::channels::http::client::{HttpChannel, Outbound};
use super::dispatch::{Command, DispatchContext, Dispatcher};
use super::report::DeliveryReport;
use crate::journal::Seq;
use crate::spool::Spool;
use crate::state::DestinationId;

/// The dispatchers of a process.
pub struct Fleet {
    context: DispatchContext,
    outbound: Outbound,
    watchdog: Watchdog,
    running: HashMap<String, Running>,
    /// Told to stop, perhaps with requests still in flight.
    stopping: HashMap<String, JoinHandle<()>>,
}

struct Running {
    id: DestinationId,
    destination: Destination,
    sender: Arc<HttpChannel>,
    /// Unbounded: a dispatcher that waits for its predecessor reads none, and nobody must wait for it.
    commands: mpsc::UnboundedSender<Command>,
    task: JoinHandle<()>,
}

/// A destination that no dispatcher serves.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no destination {0} is being delivered to")]
pub struct NotRunning(pub String);

impl Fleet {
    /// No dispatchers yet; [`Fleet::apply`] starts them.
    pub fn new(spool: &Spool, outbound: Outbound, watchdog: Watchdog) -> Self {
        let context = DispatchContext::new(spool);
        Self { context, outbound, watchdog, running: HashMap::new(), stopping: HashMap::new() }
    }

    /// Returns the reports of its dispatchers.
    pub fn report(&self) -> DeliveryReport {
        self.context.report.clone()
    }

    /// Makes the running dispatchers those of `destinations`, each of which the ledgers already know, with its
    /// starting cursor committed. Files are read while others can use the fleet. Call it from one task only.
    pub async fn apply(fleet: &Mutex<Self>, destinations: &[(DestinationId, Destination)]) {
        let (changed, outbound) = {
            let fleet = fleet.lock().await;
            (fleet.changed(destinations), fleet.outbound.clone())
        };
        let senders = run_blocking(|| {
            let sender = |destination: &Destination, before: Option<Arc<HttpChannel>>| match before {
                Some(before) => before.changed_to(destination),
                None => HttpChannel::new(destination, &outbound),
            };
            changed.into_iter().map(|(one, before)| (one.name.clone(), sender(one, before))).collect()
        });
        fleet.lock().await.install(destinations, senders);
    }

    /// Gives new senders to the destinations of which the peers folder or the Secrets say something new. Files are read
    /// while others can use the fleet.
    pub async fn reload_files(fleet: &Mutex<Self>) {
        let running: Vec<_> = {
            let fleet = fleet.lock().await;
            fleet.running.values().map(|one| (one.destination.clone(), Arc::clone(&one.sender))).collect()
        };
        let refreshed: Vec<_> = run_blocking(|| {
            let news =
                |(destination, sender): (_, Arc<HttpChannel>)| Some((destination, sender.refreshed()?));
            running.into_iter().filter_map(news).collect()
        });
        let mut fleet = fleet.lock().await;
        for (destination, sender) in refreshed {
            fleet.replace(destination, Arc::new(sender));
        }
    }

    /// The destinations that need another sender than they have, and the one that they have.
    fn changed<'a>(
        &self,
        destinations: &'a [(DestinationId, Destination)],
    ) -> Vec<(&'a Destination, Option<Arc<HttpChannel>>)> {
        let change = |(id, wanted): &'a (DestinationId, Destination)| {
            let running = self.running.get(&wanted.name).filter(|running| running.id == *id);
            let is_changed = running.is_none_or(|running| running.destination != *wanted);
            is_changed.then(|| (wanted, running.map(|running| Arc::clone(&running.sender))))
        };
        destinations.iter().filter_map(change).collect()
    }

    fn install(
        &mut self,
        destinations: &[(DestinationId, Destination)],
        mut senders: HashMap<String, HttpChannel>,
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
        self.context.memory.divide_among(destinations.len());
        for (id, destination) in destinations {
            let Some(sender) = senders.remove(&destination.name).map(Arc::new) else { continue };
            if self.running.contains_key(&destination.name) {
                self.replace(destination.clone(), sender);
            } else {
                self.start(*id, destination, sender);
            }
        }
    }

    /// The sender of a destination that is being delivered to.
    pub fn sender(&self, name: &str) -> Option<Arc<HttpChannel>> {
        self.running.get(name).map(|running| Arc::clone(&running.sender))
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

    fn start(&mut self, id: DestinationId, destination: &Destination, sender: Arc<HttpChannel>) {
        let (commands, receiver) = mpsc::unbounded_channel();
        self.context.report.waits.set(&destination.name, sender.waits_for());
        let previous = self.stopping.remove(&destination.name);
        let (context, watchdog) = (self.context.clone(), self.watchdog.clone());
        let (served, its_sender) = (destination.clone(), Arc::clone(&sender));
        let task = tokio::spawn(async move {
            if let Some(previous) = previous {
                // Two dispatchers of one destination would send the same events.
                let _ = previous.await;
            }
            let ticker = watchdog.register(format!("dispatcher {}", served.name), BOUND);
            Dispatcher::new(context, id, served, its_sender, receiver, ticker).run().await;
        });
        let running = Running { id, destination: destination.clone(), sender, commands, task };
        self.running.insert(destination.name.clone(), running);
    }

    fn replace(&mut self, destination: Destination, sender: Arc<HttpChannel>) {
        let command = Command::Reconfigure(Box::new(destination.clone()), Arc::clone(&sender));
        if self.tell(&destination.name, command).is_ok()
            && let Some(running) = self.running.get_mut(&destination.name)
        {
            self.context.report.waits.set(&destination.name, sender.waits_for());
            running.destination = destination;
            running.sender = sender;
        }
    }

    fn stop(&mut self, name: &str) {
        let _ = self.tell(name, Command::Stop);
        self.context.report.waits.set(name, None);
        self.context.report.last_failures.clear(name);
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
