//! The connections of one listener: their number, their clients, and the order to each. Where there is no room, a new
//! connection replaces the oldest that has not sent a whole request; if all have, the one whose client has been silent
//! for the longest. So idle connections, however many, keep no client out.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    client_network::client_network,
    connection_activity::{ConnectionActivity, Order},
    limits::Limits,
};

/// The open connections. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections {
    open: Arc<Mutex<Open>>,
    /// True if a connection whose request is being answered may be displaced, too.
    any_may_go: bool,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// The connections by number, so the oldest first.
    members: BTreeMap<u64, Member>,
    per_client: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Member {
    client: IpAddr,
    activity: Arc<ConnectionActivity>,
}

/// A slot among the open connections, until dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    connections: Connections,
    id: u64,
    pub(crate) activity: Arc<ConnectionActivity>,
}

/// Reason for which a connection gets no slot: a request is being answered on each that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSlot {
    Full,
    ClientFull,
}

impl Connections {
    /// Makes a set of connections in which a new one always finds a slot.
    pub(crate) fn of_which_any_may_go() -> Self {
        Self { any_may_go: true, ..Self::default() }
    }

    pub(crate) fn admit(&self, address: IpAddr, limits: &Limits) -> Result<Slot, NoSlot> {
        self.admit_as(ConnectionActivity::new(), address, limits)
    }

    /// Returns a slot for a connection that was open before.
    pub(crate) fn admit_as(
        &self,
        activity: Arc<ConnectionActivity>,
        address: IpAddr,
        limits: &Limits,
    ) -> Result<Slot, NoSlot> {
        let client = client_network(address);
        let mut open = self.lock();
        if open.of(client) >= limits.connections_per_address {
            open.displace(|member| member.client == client, self.any_may_go).ok_or(NoSlot::ClientFull)?;
        } else if open.members.len() >= limits.connections {
            open.displace(|_| true, self.any_may_go).ok_or(NoSlot::Full)?;
        }
        let id = open.insert(Member { client, activity: activity.clone() });
        drop(open);
        Ok(Slot { connections: self.clone(), id, activity })
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().members.len()
    }

    /// Orders each connection that exceeds a limit to close.
    pub(crate) fn sweep(&self, limits: &Limits) {
        for Member { activity, .. } in self.lock().members.values() {
            if let Some(order) = activity.judge(limits) {
                activity.order(order);
            }
        }
    }

    /// Orders HTTP/2 connections to close, which can be done at any time without losing a request.
    pub(crate) fn retire_http2(&self) {
        self.order(Order::Retire, ConnectionActivity::http2);
    }

    /// Orders all connections to close but those whose first request may be on the way.
    pub(crate) fn retire(&self) {
        self.order(Order::Retire, |activity| !activity.is_fresh());
    }

    /// Closes all remaining connections at once.
    pub(crate) fn cut(&self) {
        self.order(Order::Cut, |_| true);
    }

    fn order(&self, order: Order, wanted: impl Fn(&ConnectionActivity) -> bool) {
        let open = self.lock();
        let activities = open.members.values().map(|member| &member.activity);
        activities.filter(|activity| wanted(activity)).for_each(|activity| activity.order(order));
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Returns whether it is one of these connections.
    pub(crate) fn is_of(&self, connections: &Connections) -> bool {
        Arc::ptr_eq(&self.connections.open, &connections.open)
    }
}

impl Drop for Slot {
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

    /// Cuts one of these connections, if one may go.
    fn displace(&mut self, is_candidate: impl Fn(&Member) -> bool, any_may_go: bool) -> Option<()> {
        let candidates = || self.members.iter().filter(|(_, member)| is_candidate(member));
        let mut silent = candidates().filter(|(_, member)| !member.activity.has_completed_request());
        let waiting = || candidates().filter(|(_, member)| any_may_go || member.activity.waits_for_client());
        let longest = || waiting().map(|(id, member)| (member.activity.last_received_at(), *id)).min();
        let id = silent.next().map(|(id, _)| *id).or_else(|| longest().map(|(_, id)| id))?;
        self.members[&id].activity.order(Order::Cut);
        // Its slot is free at once, and not only when its task has noticed.
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

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::server::connection_activity::{Awaited, Running};

    fn admit(connections: &Connections, address: &str) -> Result<Slot, NoSlot> {
        let limits = Limits { connections: 3, connections_per_address: 2, ..Limits::default() };
        connections.admit(address.parse().unwrap(), &limits)
    }

    /// Admits a connection with a request that is being answered.
    fn admit_busy(connections: &Connections, address: &str) -> (Slot, Running) {
        let slot = admit(connections, address).unwrap();
        slot.activity.completed_request();
        let running = Running::begin(slot.activity.clone());
        (slot, running)
    }

    #[test]
    fn one_client_is_bounded_and_leaves_room_to_others() {
        let connections = Connections::default();
        let first = admit_busy(&connections, "127.0.0.1");
        let _second = admit_busy(&connections, "::ffff:127.0.0.1");
        assert_eq!(admit(&connections, "127.0.0.1").unwrap_err(), NoSlot::ClientFull);
        let _third = admit_busy(&connections, "127.0.0.2");
        assert_eq!(admit(&connections, "127.0.0.3").unwrap_err(), NoSlot::Full);
        drop(first);
        let _again = admit(&connections, "127.0.0.1").unwrap();
        assert_eq!(connections.len(), 3);
    }

    #[tokio::test]
    async fn newcomer_takes_the_place_of_the_oldest_that_has_not_spoken() {
        let connections = Connections::default();
        let _spoke = admit_busy(&connections, "127.0.0.1");
        let oldest = admit(&connections, "127.0.0.2").unwrap();
        let younger = admit(&connections, "127.0.0.3").unwrap();
        let newcomer = admit(&connections, "127.0.0.4").unwrap();
        assert_eq!((oldest.activity.ordered().await, connections.len()), (Order::Cut, 3));
        drop(oldest);
        assert_eq!(connections.len(), 3, "its slot was given away already");
        newcomer.activity.completed_request();
        let _running = Running::begin(newcomer.activity.clone());
        let last = admit(&connections, "127.0.0.5").unwrap();
        assert_eq!((younger.activity.ordered().await, connections.len()), (Order::Cut, 3));
        last.activity.completed_request();
        let _running = Running::begin(last.activity.clone());
        assert_eq!(admit(&connections, "127.0.0.6").unwrap_err(), NoSlot::Full);
    }

    #[tokio::test]
    async fn client_that_has_its_share_loses_its_own_connections_alone() {
        let connections = Connections::default();
        let _other = admit(&connections, "127.0.0.1").unwrap();
        let own = admit(&connections, "127.0.0.2").unwrap();
        let second = admit(&connections, "127.0.0.2").unwrap();
        second.activity.completed_request();
        let _running = Running::begin(second.activity.clone());
        let _third = admit_busy(&connections, "127.0.0.2");
        assert_eq!((own.activity.ordered().await, connections.len()), (Order::Cut, 3));
        assert_eq!(admit(&connections, "127.0.0.2").unwrap_err(), NoSlot::ClientFull);
    }

    #[tokio::test]
    async fn resting_connections_and_stalled_bodies_keep_nobody_out() {
        let connections = Connections::default();
        let resting = admit(&connections, "127.0.0.1").unwrap();
        drop(Running::begin(resting.activity.clone()));
        let (stalled, _running) = admit_busy(&connections, "127.0.0.2");
        let _awaited = Awaited::begin(stalled.activity.clone());
        let (busy, _running) = admit_busy(&connections, "127.0.0.3");
        let newcomers = [admit_busy(&connections, "127.0.0.4"), admit_busy(&connections, "127.0.0.5")];
        for slot in [&resting, &stalled] {
            assert_eq!(slot.activity.ordered().await, Order::Cut);
        }
        assert_eq!(admit(&connections, "127.0.0.6").unwrap_err(), NoSlot::Full);
        assert!(busy.activity.ordered().now_or_never().is_none());
        drop(newcomers);
    }

    #[test]
    fn ipv6_network_is_one_client() {
        let connections = Connections::default();
        let _first = admit_busy(&connections, "2001:db8::1");
        let _second = admit_busy(&connections, "2001:db8::ffff:2");
        assert_eq!(admit(&connections, "2001:db8::3").unwrap_err(), NoSlot::ClientFull);
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
