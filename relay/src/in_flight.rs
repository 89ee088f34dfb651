//! How many requests one address may have in flight: over HTTP/2 a few connections can carry thousands, and
//! nobody should take the places of all others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// As many as an address may have connections, since a balancer may stand in front of every sender.
pub const MOST: u32 = 1024;

/// Requests in flight by address. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct InFlight {
    counts: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// One request's place, given back when dropped.
#[derive(Debug)]
pub struct Place {
    counts: InFlight,
    address: IpAddr,
}

impl InFlight {
    /// A place for a request from this address, unless it has [`MOST`] already.
    pub fn enter(&self, address: IpAddr) -> Option<Place> {
        let mut counts = self.lock();
        let count = counts.entry(address).or_default();
        if *count >= MOST {
            return None;
        }
        *count += 1;
        Some(Place { counts: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_the_places_of_another() {
        let in_flight = InFlight::default();
        let (greedy, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut places: Vec<_> = (0..MOST).map(|_| in_flight.enter(greedy).unwrap()).collect();
        assert!(in_flight.enter(greedy).is_none());
        drop(in_flight.enter(other).unwrap());
        places.pop();
        assert!(in_flight.enter(greedy).is_some());
        places.clear();
        assert!(in_flight.lock().is_empty(), "nothing is kept of who is gone");
    }
}
