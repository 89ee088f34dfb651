//! The connections of one listener: how many, from where, and an order to each.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    limits::Limits,
    pace::{Order, Pace},
};

/// The open connections. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    paces: HashMap<u64, Arc<Pace>>,
    per_client: HashMap<IpAddr, usize>,
}

/// A place among the open connections, until dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Connections,
    id: u64,
    client: IpAddr,
    pub(super) pace: Arc<Pace>,
}

/// Why a connection gets no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    Full,
    ClientFull,
}

impl Connections {
    pub(super) fn admit(&self, address: IpAddr, limits: &Limits) -> Result<Place, NoPlace> {
        let client = client_of(address);
        let mut open = self.lock();
        if open.paces.len() >= limits.connections {
            return Err(NoPlace::Full);
        }
        let of_client = open.per_client.entry(client).or_default();
        if *of_client >= limits.connections_per_address {
            return Err(NoPlace::ClientFull);
        }
        *of_client += 1;
        let id = open.next;
        open.next += 1;
        let pace = Pace::new();
        open.paces.insert(id, pace.clone());
        drop(open);
        Ok(Place { connections: self.clone(), id, client, pace })
    }

    pub(super) fn len(&self) -> usize {
        self.lock().paces.len()
    }

    /// Orders away each connection that is beyond its limits.
    pub(super) fn sweep(&self, limits: &Limits) {
        for pace in self.lock().paces.values() {
            if let Some(order) = pace.judge(limits) {
                pace.order(order);
            }
        }
    }

    /// Orders those away that speak HTTP/2, which can be told so at any time without losing a request.
    pub(super) fn retire_http2(&self) {
        self.lock().paces.values().filter(|pace| pace.http2()).for_each(|pace| pace.order(Order::Retire));
    }

    /// Orders all away but those whose first request may be on the way.
    pub(super) fn retire(&self) {
        self.lock().paces.values().filter(|pace| !pace.is_fresh()).for_each(|pace| pace.order(Order::Retire));
    }

    /// Closes all that are left.
    pub(super) fn cut(&self) {
        self.lock().paces.values().for_each(|pace| pace.order(Order::Cut));
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.paces.remove(&self.id);
        if let Some(count) = open.per_client.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.per_client.remove(&self.client);
            }
        }
    }
}

/// What counts as one client: an IPv4 address, or an IPv6 network of 64 bits.
fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(connections: &Connections, address: &str) -> Result<Place, NoPlace> {
        let limits = Limits { connections: 3, connections_per_address: 2, ..Limits::default() };
        connections.admit(address.parse().unwrap(), &limits)
    }

    #[test]
    fn one_client_is_bounded_and_leaves_room_to_others() {
        let connections = Connections::default();
        let first = admit(&connections, "127.0.0.1").unwrap();
        let _second = admit(&connections, "::ffff:127.0.0.1").unwrap();
        assert_eq!(admit(&connections, "127.0.0.1").unwrap_err(), NoPlace::ClientFull);
        let _third = admit(&connections, "127.0.0.2").unwrap();
        assert_eq!(admit(&connections, "127.0.0.3").unwrap_err(), NoPlace::Full);
        drop(first);
        let _again = admit(&connections, "127.0.0.1").unwrap();
        assert_eq!(connections.len(), 3);
    }

    #[test]
    fn ipv6_network_is_one_client() {
        let connections = Connections::default();
        let _first = admit(&connections, "2001:db8::1").unwrap();
        let _second = admit(&connections, "2001:db8::ffff:2").unwrap();
        assert_eq!(admit(&connections, "2001:db8::3").unwrap_err(), NoPlace::ClientFull);
        let _other = admit(&connections, "2001:db8:0:1::3").unwrap();
    }

    #[test]
    fn nothing_is_kept_of_a_client_that_left() {
        let connections = Connections::default();
        drop(admit(&connections, "127.0.0.1").unwrap());
        let open = connections.lock();
        assert!(open.per_client.is_empty() && open.paces.is_empty());
    }
}
