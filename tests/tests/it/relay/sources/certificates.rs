//! Senders that prove themselves by certificate, on a listener that asks everyone for one and demands it of nobody else.

use std::fs;

use rcgen::SanType;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use visnyk_tests::{
    authority::Authority,
    client::Version,
    files::write_secret,
    manifest::destination,
    relay::Relay,
    sink::{Behaviour, Sink},
    wait::eventually,
};

use super::{examples, metric};

const REFUSED: &str = "visnyk_unverified_requests_total";

/// Returns the manifest of the example, with an open source beside it.
fn manifest(sink: &Sink) -> Value {
    let (_, mut manifest) =
        examples().into_iter().find(|(path, _)| path.ends_with("client-certificate.yaml")).unwrap();
    manifest["spec"]["listener"]["port"] = visnyk_tests::manifest::RELAY_PORT.into();
    manifest["spec"]["destinations"] = json!([destination("sink", &sink.url())]);
    let open = json!({"name": "open", "path": "/open", "verify": {"none": {}}});
    manifest["spec"]["sources"].as_array_mut().unwrap().push(open);
    manifest
}

/// Trusts whoever this bundle names, if there is one.
async fn start(sink: &Sink, bundle: Option<&str>) -> Relay {
    let folder = tempfile::tempdir().unwrap();
    if let Some(bundle) = bundle {
        write_secret(folder.path(), "partner-ca", "ca.crt", bundle);
    }
    let data_dir = folder.path().join("data");
    Relay::start_in(folder, data_dir, &manifest(sink)).await
}

async fn post(client: &Client, relay: &Relay, path: &str) -> Response {
    client.post(format!("{}{path}", relay.url())).body("{}").send().await.unwrap()
}

async fn status(client: &Client, relay: &Relay) -> u16 {
    post(client, relay, "client-certificate").await.status().as_u16()
}

fn san(dns: &str) -> Vec<SanType> {
    vec![SanType::DnsName(dns.try_into().unwrap())]
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_subjects_are_let_in_and_all_others_are_refused_without_a_hint() {
    let sink = Sink::start(Behaviour::Ok).await;
    let (ours, other) = (Authority::new("partners"), Authority::new("partners"));
    let relay = start(&sink, Some(&ours.certificate)).await;
    let uri = |uri: &str| vec![SanType::URI(uri.try_into().unwrap())];
    let listed = [
        ours.client("pump", vec![]),
        ours.client("valve", san("pump.example.org")),
        ours.client("valve", uri("spiffe://example.org/pump")),
    ];
    let strangers = [
        ("missing", None),
        ("no_certificate", Some(other.client("pump", san("pump.example.org")))),
        ("no_certificate", Some(ours.server("pump"))),
        ("time", Some(ours.expired_client("pump"))),
        ("wrong", Some(ours.client("pump,O=Example", vec![]))),
        ("wrong", Some(ours.client("Pump", san("a.pump.example.org")))),
        ("wrong", Some(ours.client("DNS:pump.example.org", uri("spiffe://example.org/pump/2")))),
    ];
    let mut accepted = 0;
    for version in [Version::Http1, Version::Http2] {
        for identity in &listed {
            let client = relay.client_with(Some(identity), version);
            let answer = post(&client, &relay, "client-certificate").await;
            assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
            accepted += 1;
        }
        for (reason, identity) in &strangers {
            let client = relay.client_with(identity.as_deref(), version);
            let answer = post(&client, &relay, "client-certificate").await;
            assert_eq!(answer.status(), 401, "{reason} by {version:?}");
            let text = answer.text().await.unwrap();
            assert_eq!(text, "{\"error\":\"Not authorized\"}\n", "{reason} by {version:?}");
            assert_eq!(post(&client, &relay, "open").await.status(), 200, "{reason} by {version:?}, to all");
            accepted += 1;
        }
    }
    let refused =
        |reason, count| format!("{REFUSED}{{source=\"client-certificate\",reason=\"{reason}\"}} {count}");
    let expected =
        [refused("missing", 2), refused("no_certificate", 4), refused("time", 2), refused("wrong", 6)];
    assert_eq!(metric(&relay, REFUSED).await, expected);
    assert_eq!(relay.probes.status().await["accepted"], accepted);
    sink.took_events(accepted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_bundle_applies_without_a_restart_and_no_bundle_refuses_all() {
    let sink = Sink::start(Behaviour::Ok).await;
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let relay = start(&sink, None).await;
    let of = |authority: &Authority| {
        let identity = authority.client("pump", vec![]);
        relay.client_with(Some(&identity), Version::Http2)
    };
    let client = of(&ours);
    assert_eq!(
        (status(&client, &relay).await, post(&client, &relay, "open").await.status().as_u16()),
        (503, 200)
    );
    assert_eq!(
        metric(&relay, REFUSED).await,
        [format!("{REFUSED}{{source=\"client-certificate\",reason=\"no_secret\"}} 1")]
    );
    let becomes = async |client: &Client, expected: u16| {
        let says = format!("{expected} for a client");
        eventually(&says, async || status(client, &relay).await, |status| *status == expected).await;
    };

    // Who connected before was not asked; who comes anew is.
    let folder = relay.secrets_dir().join("partner-ca");
    fs::create_dir_all(&folder).unwrap();
    let write = |bundle: &str| fs::write(folder.join("ca.crt"), bundle).unwrap();
    write(&ours.certificate);
    let anew = async || status(&of(&ours), &relay).await;
    eventually("who comes anew is let in", anew, |status| *status == 200).await;
    let client = of(&ours);
    assert_eq!(status(&client, &relay).await, 200);

    // On the connection that stays open, too.
    write(&other.certificate);
    becomes(&client, 401).await;
    becomes(&of(&other), 200).await;
    fs::remove_file(folder.join("ca.crt")).unwrap();
    becomes(&of(&other), 503).await;
}
