//! Eleven years: whatever the pods have mounted at any hour, every handshake succeeds.

use std::collections::VecDeque;

use jiff::ToSpan;
use visnyk_runtime::pki::Trust;

use super::*;

/// Longest time for which a pod uses files that were replaced, in hours.
const LAG_HOURS: i64 = 24;
const HOURS: i64 = 11 * 366 * 24;

/// Files that were mounted at some time.
struct Mounted {
    trust: Trust,
    server: Vec<u8>,
    sender: Vec<u8>,
}

/// The resource is a Collector that a relay sends to.
#[derive(Default)]
struct World {
    cluster: Cluster,
    peers: SecretData,
    /// The newest last; the oldest is what a pod may still have.
    mounted: VecDeque<(i64, Mounted)>,
}

impl World {
    fn reconcile(&mut self, hour: i64, now: Timestamp) -> (Timestamp, Vec<CertificateEvent>) {
        let wanted = self.cluster.reconcile(&names(), now);
        let sender = decide_sender(Some(&self.peers), "", &quay(), &wanted.authorities, now).unwrap();
        let changed = self.mounted.back().is_none_or(|(_, last)| {
            sender.why.is_some() || last.server != wanted.server[CERTIFICATE] || !wanted.events.is_empty()
        });
        let look_again = wanted.look_again.min(sender.renew_at);
        insert(&mut self.peers, "", &sender.issued);
        if changed {
            let mounted = Mounted {
                trust: wanted.authorities.trust().unwrap(),
                server: wanted.server[CERTIFICATE].clone(),
                sender: self.peers[CERTIFICATE].clone(),
            };
            self.mounted.push_back((hour, mounted));
        }
        (look_again, wanted.events)
    }

    /// Tries every pair of bundle and certificate that may meet now.
    fn shake_hands(&mut self, hour: i64, now: Timestamp) {
        // What was replaced longer ago than the lag is mounted nowhere.
        while self.mounted.get(1).is_some_and(|(since, _)| since + LAG_HOURS <= hour) {
            self.mounted.pop_front();
        }
        let (server, sender) =
            (Purpose::Server { names: names(), addresses: vec![] }, Purpose::Sender(quay()));
        for (_, here) in &self.mounted {
            for (_, there) in &self.mounted {
                assert!(here.trust.believes(&there.server, &server, now), "server at {now}");
                assert!(here.trust.believes(&there.sender, &sender, now), "sender at {now}");
            }
        }
    }
}

/// Returns the next hour: the following one where something changes, was changed a while ago or is to change soon; else
/// one every other day.
fn next(hour: i64, world: &World, look_again: Timestamp) -> i64 {
    let changed = world.mounted.back().map_or(0, |(since, _)| *since);
    let until = look_again.duration_since(start() + hour.hours()).as_hours();
    if hour - changed <= LAG_HOURS + 2 || until <= 48 { hour + 1 } else { hour + 48 }
}

#[test]
fn no_handshake_fails_in_eleven_years_of_visits() {
    let (mut world, mut hour, mut all) = (World::default(), 0, Vec::new());
    while hour < HOURS {
        let now = start() + hour.hours();
        if all.last() == Some(&CertificateEvent::NextAuthority) {
            // The worst time to need new certificates: not everybody knows who might sign them.
            (world.cluster.server, world.peers) = (None, SecretData::new());
        }
        let (look_again, events) = world.reconcile(hour, now);
        all.extend(events);
        world.shake_hands(hour, now);
        hour = next(hour, &world, look_again);
    }
    let count = |event| all.iter().filter(|it| **it == event).count();
    assert_eq!((count(CertificateEvent::FirstAuthority), count(CertificateEvent::NextAuthority)), (1, 1));
    assert_eq!(
        (count(CertificateEvent::LostAuthority), count(CertificateEvent::ServerCertificate(Why::Distrusted))),
        (0, 0)
    );
    // Every 60 days.
    assert_eq!(count(CertificateEvent::ServerCertificate(Why::Age)), 66, "{all:?}");
    assert_eq!(count(CertificateEvent::ServerCertificate(Why::Missing)), 2);
}

#[test]
fn operator_that_looks_only_when_it_said_so_is_never_late() {
    let (mut world, mut hour) = (World::default(), 0);
    let (mut look_again, _) = world.reconcile(0, start());
    while hour < HOURS {
        let now = start() + hour.hours();
        if now >= look_again {
            look_again = world.reconcile(hour, now).0;
        }
        world.shake_hands(hour, now);
        hour = next(hour, &world, look_again);
    }
}
