//! The certificate of a relay is made once, for any name of the relay and its namespace.

use proptest::prelude::*;
use visnyk_crds::{WebhookRelay, validate};

use super::*;
use crate::children::meta::Role;
use crate::testing::kept;

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

/// Generates valid names of a certificate: labels may be longer than DNS allows.
fn dns_name() -> impl Strategy<Value = String> {
    let labels = prop::collection::vec("[a-z0-9]([-a-z0-9]{0,81}[a-z0-9])?", 1..4);
    (any::<bool>(), labels).prop_map(|(is_wildcard, labels)| {
        format!("{}{}", if is_wildcard { "*." } else { "" }, labels.join("."))
    })
}

fn relay(name: &str, namespace: &str, dns_names: &[String]) -> WebhookRelay {
    serde_json::from_value(json!({
        "apiVersion": "visnyk.dev/v1alpha1",
        "kind": "WebhookRelay",
        "metadata": { "name": name, "namespace": namespace, "uid": "u-1", "generation": 1 },
        "spec": {
            "listener": { "tls": { "selfSigned": { "dnsNames": dns_names } } },
            "spool": { "ephemeral": { "size": "64Mi" } },
            "sources": [{ "name": "open", "path": "/", "verify": { "none": {} } }],
            "destinations": [{ "name": "desk", "url": "https://desk.example.org" }],
        },
    }))
    .unwrap()
}

/// Checks that a second reconcile keeps what the first found.
fn assert_made_once(relay: &WebhookRelay) {
    let valid = validate::relay(relay).unwrap();
    let owner = Owner::of(Role::Relay, relay);
    let further = own_names(&valid.listener.tls);
    let first = kept(wanted(&owner, &StoredCertificates::default(), further, now()).unwrap());
    let second = wanted(&owner, &first, further, now()).unwrap();
    assert_eq!((second.events.clone(), kept(second)), (vec![], first));
}

#[test]
fn namespace_of_digits_has_a_certificate_that_stays() {
    assert_made_once(&relay("quay", "2026", &[]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn certificate_for_whatever_is_valid_is_made_once(
        name in "[a-z]([-a-z0-9]{0,38}[a-z0-9])?",
        namespace in "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?",
        dns_names in prop::collection::btree_set(dns_name(), 0..4),
    ) {
        assert_made_once(&relay(&name, &namespace, &Vec::from_iter(dns_names)));
    }
}
