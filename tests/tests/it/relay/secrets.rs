//! A secret is in its file and nowhere else.

use std::{fs, path::Path};

use serde_json::json;
use visnyk_tests::{
    files::write_secret,
    manifest::{self, destination},
    relay::Relay,
    sender::{Outcome, Sender},
    sink::{Behaviour, Sink},
};

const CANARY: &str = "canary-3e8a5b";

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_in_no_log_no_store_no_delivery_and_no_metric() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    manifest["spec"]["sources"][0]["verify"] =
        json!({"bearer": {"secretRefs": [{"name": "front", "key": "token"}]}});
    let folder = tempfile::tempdir().unwrap();
    write_secret(folder.path(), "front", "token", CANARY);
    let data_dir = folder.path().join("data");
    let mut relay = Relay::start_in(folder, data_dir, &manifest).await;
    relay.terminate().await;
    relay.restart_at_trace().await;
    let id = Sender::with_token(&relay, Some(CANARY)).send_accepted().await;
    let wrong = format!("{CANARY}-wrong");
    assert_eq!(Sender::with_token(&relay, Some(&wrong)).send_one().await, Outcome::Refused(401));

    let taken = sink.took(&id).await;
    assert!(!format!("{taken:?}").contains(CANARY), "a token was delivered");
    let said = relay.process.said();
    assert!(said.contains("TRACE") && !said.contains(CANARY), "a token is in the log");
    for path in ["/metrics", "/status"] {
        assert!(!relay.probes.get(path).await.unwrap().1.contains(CANARY), "a token is in {path}");
    }
    assert_eq!(holding(relay.data_dir(), CANARY), Vec::<String>::new(), "a token is in the data folder");
}

/// Files that hold a text.
pub(super) fn holding(folder: &Path, canary: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, canary));
        } else if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            if bytes.windows(canary.len()).any(|window| window == canary.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}
