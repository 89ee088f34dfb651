//! The limit of requests in flight for one client: over HTTP/2 a few connections can carry thousands, and must not
//! take the places of all others. A client is an IPv4 address or an IPv6 /64.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use visnyk_runtime::server::client_network::client_network;

/// Maximum number of requests of a client: as many as its connections, because a balancer may stand in front of every
/// sender.
pub const MAX: u32 = 1024;

/// Requests in flight by client. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct InFlight {
    counts: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// Slot of one request. It is freed when this is dropped.
#[derive(Debug)]
pub struct Slot {
    counts: InFlight,
    client: IpAddr,
}

impl InFlight {
    /// Returns a place for a request from this address, unless its client has [`MAX`] already.
    pub fn enter(&self, address: IpAddr) -> Option<Slot> {
        let client = client_network(address);
        let mut counts = self.lock();
        let count = counts.entry(client).or_default();
        if *count >= MAX {
            return None;
        }
        *count += 1;
        Some(Slot { counts: self.clone(), client })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn one_address_does_not_take_the_places_of_another() {
        let in_flight = InFlight::default();
        let (greedy, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut places: Vec<_> = (0..MAX).map(|_| in_flight.enter(greedy).unwrap()).collect();
        assert!(in_flight.enter(greedy).is_none());
        drop(in_flight.enter(other).unwrap());
        places.pop();
        assert!(in_flight.enter(greedy).is_some());
        places.clear();
        assert!(in_flight.lock().is_empty(), "nothing is kept of who is gone");
    }

    #[test]
    fn all_addresses_of_an_ipv6_network_are_one_client() {
        let in_flight = InFlight::default();
        let of = |subnet: u16, host: u32| {
            IpAddr::from(Ipv6Addr::from_bits(
                u128::from(host) | 0x2001_0db8_u128 << 96 | u128::from(subnet) << 64,
            ))
        };
        let _places: Vec<_> = (0..MAX).map(|host| in_flight.enter(of(0, host)).unwrap()).collect();
        assert!(in_flight.enter(of(0, MAX)).is_none());
        assert!(in_flight.enter(of(1, 0)).is_some());
    }
}
