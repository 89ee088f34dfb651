//! Secrets of a collector are in no log, metric, status or refusal, at any level of the log.

use std::fs;

use serde_json::json;
use visnyk_tests::{
    authority::Authority,
    collector::Collector,
    manifest::{self, collector_destination},
    relay::Relay,
    sender::Sender,
};

const TOKEN: &str = "canary-token-7c2d";
const PASSWORD: &str = "canary-password-7c2d";
const QUERY: &str = "canary-query-7c2d";
const BODY: &str = "canary-body-7c2d";

/// Returns the first line of a private key.
fn key_line(pem: &str) -> String {
    pem.lines().nth(1).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_or_body_is_in_a_log_status_metric_or_refusal() {
    let authority = Authority::new("ours");
    let folder = tempfile::tempdir().unwrap();
    fs::write(Collector::client_ca(folder.path()), &authority.certificate).unwrap();
    let data_dir = folder.path().join("data");
    let mut manifest = manifest::collector();
    manifest["spec"]["access"] = json!({"namespaces": ["apps"]});
    let mut collector = Collector::start_in(folder, data_dir, &manifest);
    collector.probes.ready().await;
    collector.terminate().await;
    collector.restart_at_trace().await;

    // A relay is let in, over HTTP/2.
    let relay = Relay::start(&manifest::relay([collector_destination("archive")])).await;
    authority.write_relay(&relay.peers_dir(), "visnyk://apps/monitoring");
    collector.introduce_to(&relay.peers_dir());
    let sender = Sender::to(&relay);
    sender.send(1, 1).await;
    relay.until("archive", "delivered", |archive| archive["delivered"] == 1).await;
    // Somebody else is not.
    let request = collector.client().post(format!("{}?key={QUERY}", collector.url()));
    let request = request.bearer_auth(TOKEN).header("cookie", format!("session={PASSWORD}"));
    let refused = request.body(BODY).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    let refusal = format!("{:?} {}", refused.headers().clone(), refused.text().await.unwrap());

    let said = collector.process.said();
    assert!(said.contains("TRACE") && said.contains("h2::"), "nothing was logged at trace");
    let (_, metrics) = collector.probes.get("/metrics").await.unwrap();
    let (_, ready) = collector.probes.get("/readyz").await.unwrap();
    let status = collector.probes.status().await.to_string();
    let own = fs::read_to_string(collector.data_dir().join("tls/ca.key")).unwrap();
    let peers = fs::read_to_string(relay.peers_dir().join("default.archive.tls.key")).unwrap();
    for secret in [TOKEN, PASSWORD, QUERY, BODY, &key_line(&own), &key_line(&peers)] {
        let places = [("log", &said), ("metrics", &metrics), ("status", &status), ("readyz", &ready)];
        for (place, text) in places.into_iter().chain([("refusal", &refusal)]) {
            let found = text.lines().find(|line| line.contains(secret));
            assert_eq!(found, None, "{secret} is in the {place}");
        }
    }
}
