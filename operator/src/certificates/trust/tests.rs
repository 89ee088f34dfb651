//! Decisions at one moment; those over years are in `walk`, those over damage in `damage`.

mod damage;
mod walk;

use jiff::ToSpan;
use visnyk_runtime::pki::{CA_LIFE, Facts, LEAF_LIFE, Trust};

use super::*;
use crate::children::certificate_event::Why;

pub(super) fn start() -> Timestamp {
    "2031-05-06T07:08:09Z".parse().unwrap()
}

pub(super) fn names() -> Vec<String> {
    ["quay-relay", "quay-relay.ships.svc"].map(String::from).to_vec()
}

pub(super) fn quay() -> SenderName {
    SenderName { namespace: "ships".into(), name: "quay".into() }
}

/// Certificates of one resource in a cluster, as the operator leaves them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cluster {
    pub authorities: Option<SecretData>,
    pub published: Option<String>,
    pub server: Option<SecretData>,
}

impl Cluster {
    /// Runs one reconcile of the operator.
    pub fn reconcile(&mut self, names: &[String], now: Timestamp) -> Wanted {
        let found = Found {
            authorities: self.authorities.as_ref(),
            published: self.published.as_deref(),
            server: self.server.as_ref(),
        };
        let wanted = decide(found, names, now).unwrap();
        self.authorities = Some(wanted.authorities.secret());
        self.published = Some(wanted.authorities.bundle());
        self.server = Some(wanted.server.clone());
        wanted
    }

    pub fn new(now: Timestamp) -> Self {
        let mut cluster = Self::default();
        cluster.reconcile(&names(), now);
        cluster
    }

    fn events(&mut self, names: &[String], now: Timestamp) -> Vec<CertificateEvent> {
        self.reconcile(names, now).events
    }

    /// Returns whether a client with this bundle trusts the server.
    pub fn is_believed_by(&self, bundle: &str, now: Timestamp) -> bool {
        let purpose = Purpose::Server { names: names(), addresses: Vec::new() };
        let certificate = &self.server.as_ref().unwrap()[CERTIFICATE];
        Trust::in_bundle(bundle.as_bytes()).unwrap().believes(certificate, &purpose, now)
    }
}

#[test]
fn first_visit_makes_everything_and_the_next_nothing() {
    let mut cluster = Cluster::default();
    let first = cluster.events(&names(), start());
    assert_eq!(first, [CertificateEvent::FirstAuthority, CertificateEvent::ServerCertificate(Why::Missing)]);
    let made = cluster.clone();
    assert!(made.is_believed_by(made.published.as_deref().unwrap(), start()));
    assert_eq!(cluster.events(&names(), start() + 59.days_of_hours()), []);
    assert_eq!(cluster, made);
}

#[test]
fn server_secret_holds_certificate_key_and_bundle_and_no_authority_key() {
    let cluster = Cluster::new(start());
    let server = cluster.server.unwrap();
    assert_eq!(server.keys().collect::<Vec<_>>(), [BUNDLE, CERTIFICATE, KEY]);
    assert_eq!(server[BUNDLE], cluster.published.unwrap().into_bytes());
    let authorities = cluster.authorities.unwrap();
    let keys: Vec<_> =
        authorities.iter().filter_map(|(name, key)| Some((name.strip_suffix(".key")?, key))).collect();
    assert_eq!(keys.len(), 1);
    assert!(
        keys.iter().all(|(_, key)| server.values().all(|value| value != *key)),
        "{keys:?} is where pods read"
    );
}

#[test]
fn server_that_shows_no_certificate_of_ours_still_has_whom_to_trust() {
    let mut cluster = Cluster::default();
    let wanted = cluster.reconcile(&[], start());
    assert_eq!(wanted.server.keys().collect::<Vec<_>>(), [BUNDLE]);
    assert_eq!((wanted.not_after, wanted.events), (None, vec![CertificateEvent::FirstAuthority]));
}

#[test]
fn certificate_follows_its_names_and_the_authority_stays() {
    let mut cluster = Cluster::new(start());
    let published = cluster.published.clone();
    let more = [names(), vec!["hooks.example.org".into()]].concat();
    assert_eq!(cluster.events(&more, start()), [CertificateEvent::ServerCertificate(Why::Names)]);
    assert_eq!(cluster.published, published);
    let facts = Facts::of_pem(&cluster.server.as_ref().unwrap()[CERTIFICATE]).unwrap();
    assert_eq!(facts.dns_names, more.into_iter().collect());
}

#[test]
fn order_of_names_is_no_difference() {
    let mut cluster = Cluster::new(start());
    let reversed: Vec<_> = names().into_iter().rev().collect();
    assert_eq!(cluster.events(&reversed, start()), []);
}

#[test]
fn certificate_is_renewed_at_two_thirds_of_its_life() {
    let mut cluster = Cluster::default();
    let due = cluster.reconcile(&names(), start()).look_again;
    assert!(due > start() + LEAF_LIFE * 6 / 10 && due < start() + LEAF_LIFE * 7 / 10, "{due}");
    assert_eq!(cluster.events(&names(), due - 1.second()), []);
    assert_eq!(cluster.events(&names(), due), [CertificateEvent::ServerCertificate(Why::Age)]);
}

#[test]
fn lost_authority_is_replaced_told_of_and_no_longer_trusted() {
    for damage in [None, Some(SecretData::new()), Some(SecretData::from([("1.crt".into(), b"x".to_vec())]))] {
        let mut cluster = Cluster::new(start());
        let before = cluster.clone();
        cluster.authorities = damage;
        let events = cluster.events(&names(), start());
        assert_eq!(
            events,
            [CertificateEvent::LostAuthority, CertificateEvent::ServerCertificate(Why::Distrusted)]
        );
        assert!(events[0].is_warning());
        let bundle = cluster.published.clone().unwrap();
        assert!(cluster.is_believed_by(&bundle, start()));
        assert!(!before.is_believed_by(&bundle, start()), "revoked with its authority");
        assert_eq!(cluster.events(&names(), start()), []);
    }
}

#[test]
fn lost_bundle_is_published_again_without_a_word() {
    let mut cluster = Cluster::new(start());
    let before = cluster.clone();
    cluster.published = None;
    assert_eq!(cluster.events(&names(), start()), []);
    assert_eq!(cluster, before);
}

#[test]
fn next_authority_is_published_years_before_it_signs() {
    let mut cluster = Cluster::new(start());
    let first = cluster.published.clone().unwrap();
    let rotation = start() + CA_LIFE * 2 / 3;
    assert!(cluster.events(&names(), rotation).contains(&CertificateEvent::NextAuthority));
    let both = cluster.published.clone().unwrap();
    assert!(both.starts_with(&first) && both.len() > first.len());
    let late = start() + CA_LIFE - LEAF_LIFE - 24.hours();
    cluster.reconcile(&names(), late);
    assert!(cluster.is_believed_by(&first, late), "whoever has the first bundle is still served");
    let later = start() + CA_LIFE;
    cluster.reconcile(&names(), later);
    assert!(cluster.is_believed_by(&both, later));
    assert!(!both.eq(cluster.published.as_ref().unwrap()), "the old one is gone");
}

#[test]
fn after_years_away_the_new_authority_spreads_before_it_signs() {
    let mut cluster = Cluster::new(start());
    let first = cluster.published.clone().unwrap();
    let late = start() + CA_LIFE - LEAF_LIFE / 3;
    let events = cluster.events(&names(), late);
    assert_eq!(
        events,
        [CertificateEvent::NextAuthority, CertificateEvent::ServerCertificate(Why::Distrusted)]
    );
    assert!(cluster.is_believed_by(&first, late));
}

#[test]
fn sender_has_a_certificate_while_the_collectors_authority_stands() {
    let mut collector = Cluster::default();
    let authorities = collector.reconcile(&names(), start()).authorities;
    let prefix = "ships.log.";
    let first = decide_sender(None, prefix, &quay(), &authorities, start()).unwrap();
    assert_eq!(first.why, Some(Why::Missing));
    let mut peers = SecretData::from([("ships.log.url".to_owned(), b"https://log".to_vec())]);
    insert(&mut peers, prefix, &first.issued);
    let again = |peers: &SecretData, sender: &SenderName, authorities: &Authorities, now| {
        decide_sender(Some(peers), prefix, sender, authorities, now).unwrap()
    };
    let kept = again(&peers, &quay(), &authorities, start());
    assert!(kept.why.is_none() && kept.issued == first.issued);
    assert_eq!(again(&peers, &quay(), &authorities, first.renew_at).why, Some(Why::Age));
    let other = SenderName { name: "pier".into(), ..quay() };
    assert_eq!(again(&peers, &other, &authorities, start()).why, Some(Why::Names));
    let elsewhere = Cluster::default().reconcile(&names(), start()).authorities;
    assert_eq!(again(&peers, &quay(), &elsewhere, start()).why, Some(Why::Distrusted));
}

#[test]
fn every_remark_has_a_reason_and_says_more() {
    use CertificateEvent::{FirstAuthority, LostAuthority, NextAuthority, ServerCertificate};
    let whys = [Why::Missing, Why::Names, Why::Distrusted, Why::Age].map(ServerCertificate);
    for event in [FirstAuthority, NextAuthority, LostAuthority].into_iter().chain(whys) {
        assert!(event.reason().chars().all(char::is_alphanumeric), "{event:?}");
        assert!(event.to_string().len() > event.reason().len(), "{event:?}");
    }
}

trait DaysOfHours {
    fn days_of_hours(self) -> jiff::Span;
}

impl DaysOfHours for i64 {
    fn days_of_hours(self) -> jiff::Span {
        (self * 24).hours()
    }
}
