//! The memory of all bodies in flight. When it is used up, or one client's share of it is, the body that is furthest
//! behind loses its memory, and never a new one that is on time.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// The rate that bodies are compared by when one has to go. A body that comes at this rate or faster is not behind.
/// A sender that drips to look busy would have to send this much for each body that it holds.
const COMPARED_RATE: u64 = 1024 * 1024;

/// Limit of the bytes that bodies hold together, with the bodies that hold them.
#[derive(Debug)]
pub(super) struct Budget {
    size: u64,
    usage: Mutex<Usage>,
}

#[derive(Debug, Default)]
struct Usage {
    used: u64,
    next: u64,
    clients: HashMap<IpAddr, Client>,
}

#[derive(Debug, Default)]
struct Client {
    used: u64,
    /// Bodies of which a part has come, the one that is furthest behind first.
    incomplete: BTreeMap<Rank, Incomplete>,
}

/// Time since when a body is behind the compared rate, and its number, which tells bodies of one instant apart.
type Rank = (Instant, u64);

#[derive(Debug)]
struct Incomplete {
    bytes: u64,
    displaced: Arc<Notify>,
}

/// The part of the budget that one body holds. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    client: IpAddr,
    /// Maximum number of bytes that the client may hold in all of its bodies.
    max_bytes: u64,
    bytes: u64,
    /// Rank of the body among the incomplete ones; `None` before its first part and after its last.
    rank: Option<Rank>,
    /// Notice that the body lost its memory; `None` for a body that was never incomplete, as most are.
    displaced: Option<Arc<Notify>>,
}

/// Error of a body for which there is no room, or whose room was given to another.
#[derive(Debug)]
pub(super) struct NoRoom;

impl Budget {
    pub(super) fn new(size: u64) -> Arc<Self> {
        Arc::new(Self { size, usage: Mutex::default() })
    }

    /// Returns the bytes that bodies hold together.
    pub(super) fn used(&self) -> u64 {
        self.lock().used
    }

    /// Returns the share of a body of at most `limit` bytes. It holds nothing yet.
    ///
    /// All bodies of one client together may have a quarter of the budget, because a balancer may stand in front of every
    /// sender, and never less than one body of the largest size.
    pub(super) fn share(self: &Arc<Self>, client: IpAddr, limit: u64) -> Share {
        let max_bytes = (self.size / 4).max(limit);
        Share { budget: self.clone(), client, max_bytes, bytes: 0, rank: None, displaced: None }
    }

    fn lock(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Adds bytes that came now, which end the body if `is_last`.
    pub(super) fn grow(&mut self, bytes: u64, is_last: bool) -> Result<(), NoRoom> {
        let now = Instant::now();
        let budget = self.budget.clone();
        let mut usage = budget.lock();
        let behind = match self.rank.take() {
            Some(rank) => {
                let held = usage.leave(self.client, rank);
                self.bytes = held.unwrap_or(0);
                held.ok_or(NoRoom)?;
                rank.0
            }
            None => now,
        };
        let earned = Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / COMPARED_RATE);
        let behind = now.min(behind + earned);
        // From here on the drop of this share gives back what is counted.
        self.bytes += bytes;
        usage.add(self.client, bytes);
        while usage.of(self.client) > self.max_bytes {
            usage.displace(behind, Some(self.client))?;
        }
        while usage.used > budget.size {
            usage.displace(behind, None)?;
        }
        if !is_last {
            let displaced = Arc::clone(self.displaced.get_or_insert_default());
            let incomplete = Incomplete { bytes: self.bytes, displaced };
            self.rank = Some(usage.enter(self.client, behind, incomplete));
        }
        Ok(())
    }

    /// Keeps a body whose last bytes have come already: nothing takes its room any more.
    pub(super) fn complete(&mut self) -> Result<(), NoRoom> {
        if self.rank.is_some() { self.grow(0, true) } else { Ok(()) }
    }

    /// Waits until the room of this body was given to another.
    pub(super) async fn displaced(&self) {
        match &self.displaced {
            Some(displaced) => displaced.notified().await,
            // It holds nothing that could be given to another.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut usage = self.budget.lock();
        // What was displaced holds nothing any more.
        let held = match self.rank {
            Some(rank) => usage.leave(self.client, rank).unwrap_or(0),
            None => self.bytes,
        };
        usage.give_back(self.client, held);
    }
}

impl Usage {
    fn of(&self, client: IpAddr) -> u64 {
        self.clients.get(&client).map_or(0, |client| client.used)
    }

    fn add(&mut self, client: IpAddr, bytes: u64) {
        self.used += bytes;
        self.clients.entry(client).or_default().used += bytes;
    }

    fn give_back(&mut self, address: IpAddr, bytes: u64) {
        self.used -= bytes;
        let Some(client) = self.clients.get_mut(&address) else { return };
        client.used -= bytes;
        if client.used == 0 && client.incomplete.is_empty() {
            self.clients.remove(&address);
        }
    }

    fn enter(&mut self, client: IpAddr, behind: Instant, incomplete: Incomplete) -> Rank {
        let rank = (behind, self.next);
        self.next += 1;
        self.clients.entry(client).or_default().incomplete.insert(rank, incomplete);
        rank
    }

    /// Takes a body from the incomplete, and returns its bytes, which stay counted; none if it was displaced.
    fn leave(&mut self, client: IpAddr, rank: Rank) -> Option<u64> {
        Some(self.clients.get_mut(&client)?.incomplete.remove(&rank)?.bytes)
    }

    /// Takes the room of the body that is furthest behind, of one client or of all, unless `newcomer` is further behind.
    fn displace(&mut self, newcomer: Instant, of: Option<IpAddr>) -> Result<(), NoRoom> {
        let furthest = |(address, client): (&IpAddr, &Client)| {
            client.incomplete.first_key_value().map(|(rank, _)| (*rank, *address))
        };
        let furthest = match of {
            Some(address) => self.clients.get_key_value(&address).and_then(furthest),
            None => self.clients.iter().filter_map(furthest).min(),
        };
        let (rank, address) = furthest.filter(|((behind, _), _)| *behind <= newcomer).ok_or(NoRoom)?;
        let incomplete = self
            .clients
            .get_mut(&address)
            .and_then(|client| client.incomplete.remove(&rank))
            .ok_or(NoRoom)?;
        // The waiting reader is woken, and its bytes are free at once.
        incomplete.displaced.notify_one();
        self.give_back(address, incomplete.bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
