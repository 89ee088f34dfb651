//! The connections of one listener: how many, from where, and an order to each. Where there is no room, who has just
//! come takes the place of who came long ago and has said nothing.

use std::{
    collections::{BTreeMap, HashMap},
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
    /// By number, and so the oldest first.
    members: BTreeMap<u64, Member>,
    per_client: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Member {
    client: IpAddr,
    pace: Arc<Pace>,
}

/// A place among the open connections, until dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Connections,
    id: u64,
    pub(super) pace: Arc<Pace>,
}

/// Why a connection gets no place: all that are open have spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    Full,
    ClientFull,
}

impl Connections {
    pub(super) fn admit(&self, address: IpAddr, limits: &Limits) -> Result<Place, NoPlace> {
        let client = client_of(address);
        let mut open = self.lock();
        if open.of(client) >= limits.connections_per_address {
            open.displace(|member| member.client == client).ok_or(NoPlace::ClientFull)?;
        } else if open.members.len() >= limits.connections {
            open.displace(|_| true).ok_or(NoPlace::Full)?;
        }
        let pace = Pace::new();
        let id = open.insert(Member { client, pace: pace.clone() });
        drop(open);
        Ok(Place { connections: self.clone(), id, pace })
    }

    pub(super) fn len(&self) -> usize {
        self.lock().members.len()
    }

    /// Orders away each connection that is beyond its limits.
    pub(super) fn sweep(&self, limits: &Limits) {
        for Member { pace, .. } in self.lock().members.values() {
            if let Some(order) = pace.judge(limits) {
                pace.order(order);
            }
        }
    }

    /// Orders those away that speak HTTP/2, which can be told so at any time without losing a request.
    pub(super) fn retire_http2(&self) {
        self.order(Order::Retire, Pace::http2);
    }

    /// Orders all away but those whose first request may be on the way.
    pub(super) fn retire(&self) {
        self.order(Order::Retire, |pace| !pace.is_fresh());
    }

    /// Closes all that are left.
    pub(super) fn cut(&self) {
        self.order(Order::Cut, |_| true);
    }

    fn order(&self, order: Order, wanted: impl Fn(&Pace) -> bool) {
        let open = self.lock();
        let paces = open.members.values().map(|member| &member.pace);
        paces.filter(|pace| wanted(pace)).for_each(|pace| pace.order(order));
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.lock().remove(self.id);
    }
}

impl Open {
    fn of(&self, client: IpAddr) -> usize {
        self.per_client.get(&client).copied().unwrap_or(0)
    }

    fn insert(&mut self, member: Member) -> u64 {
        let id = self.next;
        self.next += 1;
        *self.per_client.entry(member.client).or_default() += 1;
        self.members.insert(id, member);
        id
    }

    /// Cuts the oldest of these connections that has not sent a whole request yet, if there is one.
    fn displace(&mut self, is_candidate: impl Fn(&Member) -> bool) -> Option<()> {
        let silent = |member: &Member| is_candidate(member) && !member.pace.has_spoken();
        let id = self.members.iter().find(|(_, member)| silent(member)).map(|(id, _)| *id)?;
        self.members[&id].pace.order(Order::Cut);
        // Its place is free at once, and not only when its task has noticed.
        self.remove(id);
        Some(())
    }

    fn remove(&mut self, id: u64) {
        let Some(Member { client, .. }) = self.members.remove(&id) else { return };
        if let Some(count) = self.per_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                self.per_client.remove(&client);
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

    /// One that has sent a request.
    fn admit_speaking(connections: &Connections, address: &str) -> Place {
        let place = admit(connections, address).unwrap();
        place.pace.spoke();
        place
    }

    #[test]
    fn one_client_is_bounded_and_leaves_room_to_others() {
        let connections = Connections::default();
        let first = admit_speaking(&connections, "127.0.0.1");
        let _second = admit_speaking(&connections, "::ffff:127.0.0.1");
        assert_eq!(admit(&connections, "127.0.0.1").unwrap_err(), NoPlace::ClientFull);
        let _third = admit_speaking(&connections, "127.0.0.2");
        assert_eq!(admit(&connections, "127.0.0.3").unwrap_err(), NoPlace::Full);
        drop(first);
        let _again = admit(&connections, "127.0.0.1").unwrap();
        assert_eq!(connections.len(), 3);
    }

    #[tokio::test]
    async fn newcomer_takes_the_place_of_the_oldest_that_has_not_spoken() {
        let connections = Connections::default();
        let _spoke = admit_speaking(&connections, "127.0.0.1");
        let oldest = admit(&connections, "127.0.0.2").unwrap();
        let younger = admit(&connections, "127.0.0.3").unwrap();
        let newcomer = admit(&connections, "127.0.0.4").unwrap();
        assert_eq!((oldest.pace.ordered().await, connections.len()), (Order::Cut, 3));
        drop(oldest);
        assert_eq!(connections.len(), 3, "its place was given away already");
        newcomer.pace.spoke();
        let last = admit(&connections, "127.0.0.5").unwrap();
        assert_eq!((younger.pace.ordered().await, connections.len()), (Order::Cut, 3));
        last.pace.spoke();
        assert_eq!(admit(&connections, "127.0.0.6").unwrap_err(), NoPlace::Full);
    }

    #[tokio::test]
    async fn client_that_has_its_share_loses_its_own_connections_alone() {
        let connections = Connections::default();
        let _other = admit(&connections, "127.0.0.1").unwrap();
        let own = admit(&connections, "127.0.0.2").unwrap();
        let second = admit(&connections, "127.0.0.2").unwrap();
        second.pace.spoke();
        let _third = admit_speaking(&connections, "127.0.0.2");
        assert_eq!((own.pace.ordered().await, connections.len()), (Order::Cut, 3));
        assert_eq!(admit(&connections, "127.0.0.2").unwrap_err(), NoPlace::ClientFull);
    }

    #[test]
    fn ipv6_network_is_one_client() {
        let connections = Connections::default();
        let _first = admit_speaking(&connections, "2001:db8::1");
        let _second = admit_speaking(&connections, "2001:db8::ffff:2");
        assert_eq!(admit(&connections, "2001:db8::3").unwrap_err(), NoPlace::ClientFull);
        let _other = admit(&connections, "2001:db8:0:1::3").unwrap();
    }

    #[test]
    fn nothing_is_kept_of_a_client_that_left() {
        let connections = Connections::default();
        drop(admit(&connections, "127.0.0.1").unwrap());
        let open = connections.lock();
        assert!(open.per_client.is_empty() && open.members.is_empty());
    }
}
