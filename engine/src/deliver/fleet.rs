//! The dispatchers of a process: one per destination of the configuration in force, started, reconfigured and
//! stopped as that changes, none of them ever restarted for another's sake.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use visnyk_crds::valid::Destination;

use super::client::{Outbound, Sender};
use super::dispatcher::{Command, Dispatcher, Shared};
use crate::journal::Seq;
use crate::observe::watchdog::Watchdog;
use crate::state::DestinationId;

/// A dispatcher wakes every two seconds; fifteen missed wakes are a hang and not a busy machine.
const DISPATCHER_BOUND: Duration = Duration::from_secs(30);
/// Commands waiting for one dispatcher; it reads them between two steps that take microseconds.
const COMMAND_QUEUE: usize = 16;

/// The dispatchers of a process.
pub struct Fleet {
    shared: Shared,
    outbound: Outbound,
    watchdog: Watchdog,
    running: HashMap<String, Running>,
    /// Told to stop, perhaps with requests still in flight.
    stopping: HashMap<String, JoinHandle<()>>,
}

struct Running {
    destination: Destination,
    sender: Arc<Sender>,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

/// A destination that no dispatcher serves.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no destination {0} is being delivered to")]
pub struct NotRunning(pub String);

impl Fleet {
    /// No dispatchers yet; [`Fleet::apply`] starts them.
    pub fn new(shared: Shared, outbound: Outbound, watchdog: Watchdog) -> Self {
        Self { shared, outbound, watchdog, running: HashMap::new(), stopping: HashMap::new() }
    }

    /// Makes the running dispatchers those of `destinations`, each of which the ledgers already know, with its
    /// starting cursor committed.
    pub async fn apply(&mut self, destinations: &[(DestinationId, Destination)]) {
        let gone: Vec<String> = self
            .running
            .keys()
            .filter(|name| !destinations.iter().any(|(_, wanted)| wanted.name == **name))
            .cloned()
            .collect();
        for name in gone {
            self.stop(&name).await;
        }
        self.shared.memory.divide_among(destinations.len());
        for (id, destination) in destinations {
            match self.running.get_mut(&destination.name) {
                Some(running) if running.destination == *destination => {}
                Some(_) => self.reconfigure(destination).await,
                None => self.start(*id, destination).await,
            }
        }
    }

    /// Gives new senders to the destinations of which the peers folder or the Secrets say something new.
    pub async fn reload_files(&mut self) {
        let refreshed: Vec<_> = self
            .running
            .values()
            .filter_map(|running| Some((running.destination.clone(), Arc::new(running.sender.refreshed()?))))
            .collect();
        for (destination, sender) in refreshed {
            self.replace(destination, sender).await;
        }
    }

    /// The sender of a destination that is being delivered to.
    pub fn sender(&self, name: &str) -> Option<Arc<Sender>> {
        self.running.get(name).map(|running| Arc::clone(&running.sender))
    }

    /// Tells a dispatcher that dead letters of its destination are waiting again.
    pub async fn redriven(&self, name: &str, seqs: Vec<Seq>) -> Result<(), NotRunning> {
        self.tell(name, Command::Redriven(seqs)).await
    }

    /// Drops all that is undelivered to a destination; answers how many events that were.
    pub async fn discard(&self, name: &str) -> Result<oneshot::Receiver<u64>, NotRunning> {
        let (answer, answered) = oneshot::channel();
        self.tell(name, Command::Discard(answer)).await?;
        Ok(answered)
    }

    /// Stops every dispatcher and waits until what is in flight has ended, at most `grace`. What has not ended by
    /// then is delivered again after the next start.
    pub async fn stop_all(&mut self, grace: Duration) {
        let names: Vec<String> = self.running.keys().cloned().collect();
        for name in names {
            self.stop(&name).await;
        }
        let ended = futures::future::join_all(self.stopping.drain().map(|(_, task)| task));
        if tokio::time::timeout(grace, ended).await.is_err() {
            tracing::warn!("some deliveries had not ended when the grace was over, they will be repeated");
        }
    }

    async fn start(&mut self, id: DestinationId, destination: &Destination) {
        if let Some(previous) = self.stopping.remove(&destination.name) {
            // Two dispatchers of one destination would send the same events.
            let _ = previous.await;
        }
        let (commands, receiver) = mpsc::channel(COMMAND_QUEUE);
        let sender = Arc::new(Sender::new(destination, &self.outbound));
        self.shared.waits.set(&destination.name, sender.waits_for());
        let ticker = self.watchdog.register(format!("dispatcher {}", destination.name), DISPATCHER_BOUND);
        let dispatcher = Dispatcher::new(
            self.shared.clone(),
            id,
            destination.clone(),
            Arc::clone(&sender),
            receiver,
            ticker,
        );
        let task = tokio::spawn(dispatcher.run());
        self.running.insert(
            destination.name.clone(),
            Running { destination: destination.clone(), sender, commands, task },
        );
    }

    async fn reconfigure(&mut self, destination: &Destination) {
        let sender = Arc::new(Sender::new(destination, &self.outbound));
        self.replace(destination.clone(), sender).await;
    }

    async fn replace(&mut self, destination: Destination, sender: Arc<Sender>) {
        let command = Command::Reconfigure(Box::new(destination.clone()), Arc::clone(&sender));
        if self.tell(&destination.name, command).await.is_ok()
            && let Some(running) = self.running.get_mut(&destination.name)
        {
            self.shared.waits.set(&destination.name, sender.waits_for());
            running.destination = destination;
            running.sender = sender;
        }
    }

    async fn stop(&mut self, name: &str) {
        let _ = self.tell(name, Command::Stop).await;
        self.shared.waits.set(name, None);
        if let Some(running) = self.running.remove(name) {
            self.stopping.insert(name.to_owned(), running.task);
        }
    }

    async fn tell(&self, name: &str, command: Command) -> Result<(), NotRunning> {
        let not_running = || NotRunning(name.to_owned());
        let running = self.running.get(name).ok_or_else(not_running)?;
        running.commands.send(command).await.map_err(|_| not_running())
    }
}
