//! Tests of damaged Secrets: one reconcile repairs any damage, and what was whole is as it was.

use proptest::prelude::*;
use proptest::sample::Index;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair};
use time::OffsetDateTime;
use time::macros::datetime;

use super::*;

#[derive(Clone, Debug)]
enum Damage {
    Removed,
    Emptied,
    Cut(Index),
    Flipped(Index, u8),
    Foreign,
    Swapped(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        Just(Damage::Removed),
        Just(Damage::Emptied),
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), 1..=255_u8).prop_map(|(at, with)| Damage::Flipped(at, with)),
        Just(Damage::Foreign),
        any::<Index>().prop_map(Damage::Swapped),
    ]
}

/// Damages one entry of a Secret.
fn hurt(data: &mut SecretData, which: Index, damage: &Damage, foreign: &[Vec<u8>]) {
    let keys: Vec<String> = data.keys().cloned().collect();
    let key = which.get(&keys);
    let old = data[key].clone();
    if old.is_empty() {
        return;
    }
    match damage {
        Damage::Removed => drop(data.remove(key)),
        Damage::Emptied => drop(data.insert(key.clone(), Vec::new())),
        Damage::Cut(at) => drop(data.insert(key.clone(), old[..at.index(old.len())].to_vec())),
        Damage::Flipped(at, with) => {
            let mut new = old;
            let at = at.index(new.len());
            new[at] ^= with;
            data.insert(key.clone(), new);
        }
        Damage::Foreign => drop(data.insert(key.clone(), which.get(foreign).clone())),
        Damage::Swapped(other) => {
            let other = other.get(&keys);
            data.insert(key.clone(), data[other].clone());
            data.insert(other.clone(), old);
        }
    }
}

/// Returns a cluster with two authorities.
fn grown() -> (Cluster, Timestamp) {
    let mut cluster = Cluster::new(start());
    let now = start() + CA_LIFE * 3 / 4;
    cluster.reconcile(&names(), now);
    (cluster, now)
}

/// Returns a Secret of authorities with one that was made by hand.
fn made_by_hand(common_name: &str, not_before: OffsetDateTime, not_after: OffsetDateTime) -> SecretData {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    (params.not_before, params.not_after) = (not_before, not_after);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let files = [("1.crt", certificate), ("1.key", key.serialize_pem())];
    files.map(|(name, text)| (name.to_owned(), text.into_bytes())).into()
}

/// Runs two reconciles, a second apart; the second finds nothing to do.
fn events_of(authorities: SecretData) -> Vec<CertificateEvent> {
    let published = Some(String::new());
    let mut cluster = Cluster { authorities: Some(authorities), published, server: None };
    let events = cluster.reconcile(&names(), start()).events;
    let settled = cluster.clone();
    assert_eq!(cluster.reconcile(&names(), start() + 1.second()).events, []);
    assert!(cluster == settled, "{events:?}");
    events
}

#[test]
fn authority_made_by_hand_is_used_or_replaced_once_and_for_all() {
    let made = CertificateEvent::ServerCertificate(Why::Missing);
    let long = (datetime!(2030-01-01 0:00 UTC), datetime!(2039-12-31 0:00 UTC));
    assert_eq!(events_of(made_by_hand("Visnyk CA 1", long.0, long.1)), [made]);
    assert_eq!(
        events_of(made_by_hand("Harbour CA", long.0, long.1)),
        [CertificateEvent::LostAuthority, made]
    );
    // As late as a time can be told: nothing can be added to it.
    let latest = datetime!(9999-12-30 22:00 UTC);
    assert_eq!(events_of(made_by_hand("Visnyk CA 1", latest, latest)), [made]);
    // Younger than one that is made now, by what its certificate says, and at its end.
    let short = (datetime!(2031-05-06 6:48 UTC), datetime!(2031-05-06 7:17 UTC));
    assert_eq!(
        events_of(made_by_hand("Visnyk CA 1", short.0, short.1)),
        [CertificateEvent::NextAuthority, made]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damage_is_repaired_in_one_visit(
        hurts in prop::collection::vec((any::<bool>(), any::<Index>(), damage()), 1..4),
    ) {
        let (mut cluster, now) = grown();
        let foreign: Vec<Vec<u8>> = Cluster::new(now).authorities.unwrap().into_values().collect();
        for (authorities, which, damage) in &hurts {
            let data = if *authorities { &mut cluster.authorities } else { &mut cluster.server };
            let data = data.as_mut().unwrap();
            if !data.is_empty() {
                hurt(data, *which, damage, &foreign);
            }
        }
        cluster.reconcile(&names(), now);
        let bundle = cluster.published.clone().unwrap();
        prop_assert!(cluster.is_believed_by(&bundle, now));
        let server = cluster.server.as_ref().unwrap();
        prop_assert_eq!(&server[BUNDLE], bundle.as_bytes());
        prop_assert!(visnyk_runtime::pki::CertificateAndKey::parse(&server[CERTIFICATE], &server[KEY]).is_ok());
        let repaired = cluster.clone();
        prop_assert_eq!(cluster.reconcile(&names(), now).events, []);
        prop_assert_eq!(cluster, repaired);
    }

    #[test]
    fn damage_to_one_authority_leaves_the_other_in_trust(which in any::<Index>(), damage in damage()) {
        let (mut cluster, now) = grown();
        let before = cluster.published.clone().unwrap();
        hurt(cluster.authorities.as_mut().unwrap(), which, &damage, &[b"foreign".to_vec()]);
        cluster.reconcile(&names(), now);
        let after = cluster.published.unwrap();
        let certificates = |bundle: &str| -> Vec<String> {
            bundle.split_inclusive("-----END CERTIFICATE-----\n").map(str::to_owned).collect()
        };
        let kept = certificates(&after).iter().filter(|it| certificates(&before).contains(it)).count();
        let swapped = matches!(damage, Damage::Swapped(_));
        prop_assert!(kept >= 1 || swapped, "{after}");
    }
}
