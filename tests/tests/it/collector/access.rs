//! Access of senders, by the certificates of real relays.

use std::fs;

use serde_json::{Value, json};
use visnyk_tests::{
    authority::Authority,
    client,
    collector::Collector,
    manifest::{self, COLLECTOR_PORT, collector_destination},
    relay::Relay,
    sender::Sender,
    wait::eventually,
};

fn closed_but_for(namespaces: &[&str]) -> Value {
    let mut manifest = manifest::collector();
    manifest["spec"]["access"] = json!({"namespaces": namespaces});
    manifest
}

async fn collector_that_trusts(authority: &Authority, manifest: &Value) -> Collector {
    let folder = tempfile::tempdir().unwrap();
    fs::write(Collector::client_ca(folder.path()), &authority.certificate).unwrap();
    let data_dir = folder.path().join("data");
    let collector = Collector::start_in(folder, data_dir, manifest);
    collector.probes.ready().await;
    collector
}

async fn refused(collector: &Collector, reason: &str) {
    let counted = async || {
        let (_, page) = collector.probes.get("/metrics").await.unwrap();
        page.contains(&format!("visnyk_access_refused_total{{reason=\"{reason}\"}}"))
    };
    eventually(&format!("refused for {reason}"), counted, |counted| *counted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relay_is_let_in_by_its_certificate_and_pending_events_arrive() {
    let authority = Authority::new("ours");
    let collector = collector_that_trusts(&authority, &closed_but_for(&["apps"])).await;
    let relay = Relay::start(&manifest::relay([collector_destination("archive")])).await;
    let sender = Sender::to(&relay);
    sender.send(3, 1).await;

    // Nobody yet.
    collector.introduce_to(&relay.peers_dir());
    refused(&collector, "no_certificate").await;
    // Somebody, of a namespace that may not.
    authority.write_relay(&relay.peers_dir(), "visnyk://sea/monitoring");
    refused(&collector, "namespace").await;
    let destination = relay.destination("archive").await;
    assert_eq!((&destination["pending"], &destination["delivered"]), (&json!(3), &json!(0)));
    assert_eq!(collector.log(), "");

    authority.write_relay(&relay.peers_dir(), "visnyk://apps/monitoring");
    relay.until("archive", "all delivered", |destination| destination["delivered"] == 3).await;
    assert_eq!(collector.log().lines().count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_of_another_authority_leaves_events_pending() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let collector = collector_that_trusts(&ours, &closed_but_for(&[])).await;
    let relay = Relay::start(&manifest::relay([collector_destination("archive")])).await;
    other.write_relay(&relay.peers_dir(), "visnyk://default/monitoring");
    collector.introduce_to(&relay.peers_dir());
    Sender::to(&relay).send(1, 1).await;
    refused(&collector, "no_certificate").await;
    assert_eq!(relay.destination("archive").await["pending"], 1);
    assert_eq!(collector.log(), "");

    // Trusted from now on, beside the other: the relay's own namespace needs no permission.
    let bundle = format!("{}{}", ours.certificate, other.certificate);
    fs::write(Collector::client_ca(collector.folder()), bundle).unwrap();
    relay.until("archive", "delivered", |destination| destination["delivered"] == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sender_without_certificate_is_told_why_it_may_not_send() {
    let collector = collector_that_trusts(&Authority::new("ours"), &closed_but_for(&["apps"])).await;
    let post = async || collector.client().post(collector.url()).body("x").send().await.unwrap();
    let answer = post().await;
    assert_eq!(answer.status(), 403);
    let expected = "{\"error\":\"Only relays that show a valid certificate may send\"}\n";
    assert_eq!(answer.text().await.unwrap(), expected);
    assert_eq!(collector.log(), "");

    let before = collector.probes.status().await;
    collector.change_manifest(&manifest::collector().to_string());
    collector.probes.until_other_configuration(&before["configurationHash"]).await;
    assert_eq!(post().await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_that_the_operator_keeps_is_shown_and_followed() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    let tls_dir = Collector::tls_dir(folder.path());
    authority.write_server(&tls_dir);
    let data_dir = folder.path().join("data");
    let collector = Collector::start_in(folder, data_dir, &manifest::collector());
    collector.probes.ready().await;
    let address = collector.address().port(COLLECTOR_PORT);
    let first = client::certificate(address).await;
    authority.write_server(&tls_dir);
    eventually("the new one", async || client::certificate(address).await, |shown| *shown != first).await;
    assert!(!collector.ca().exists(), "the collector made an authority of its own");
}
