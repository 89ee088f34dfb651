//! Manifests of an operator of another version. Those that the relay cannot read leave the last one running, over restarts
//! too.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use visnyk_tests::{
    conservation::assert_conserved,
    manifest::{self, by_operator, destination},
    process::Process,
    relay::{RELAY, Relay},
    sender::Sender,
    sink::{Behaviour, Sink},
};

/// Returns the manifest with a field that no version has yet.
fn newer(mut manifest: Value) -> Value {
    manifest["spec"]["tide"] = json!({"high": true});
    manifest
}

/// Puts a manifest in place of the relay's, starts it again without waiting, and returns its exit code and what it says.
async fn ends(relay: &mut Relay, manifest: &Value) -> (Option<i32>, String) {
    let before = relay.process.said().len();
    relay.change_manifest(&manifest.to_string());
    relay.launch();
    let status = relay.process.ended().await;
    (status.code(), relay.process.said().split_off(before))
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_manifest_leaves_the_last_one_running_over_a_kill() {
    let (sink, other) = (Sink::start(Behaviour::Ok).await, Sink::start(Behaviour::Ok).await);
    let plain = manifest::relay([destination("sink", &sink.url())]);
    let first = by_operator(plain.clone(), 'a');
    let mut relay = Relay::start(&first).await;
    assert_eq!(relay.probes.status().await["configurationHash"], "a".repeat(64), "as the operator counts");
    let sender = Sender::to(&relay);

    relay.change_manifest(&newer(by_operator(plain.clone(), 'b')).to_string());
    let told = relay.probes.until("told of", |status| status["newerConfiguration"] == true).await;
    let problem = told["manifestProblem"].as_str().unwrap();
    assert!(problem.starts_with("spec.tide: unknown field; known fields are "), "{problem}");
    assert!(
        problem.contains("\nan operator of version 9.9.9 wrote this manifest, and version "),
        "{problem}"
    );
    sender.send(5, 1).await;
    assert!(relay.process.said().contains("NewerConfiguration"));

    relay.kill();
    relay.restart().await;
    let told = relay.probes.status().await;
    assert_eq!(
        (&told["newerConfiguration"], &told["configurationHash"]),
        (&json!(true), &json!("a".repeat(64)))
    );
    sender.send(5, 1).await;

    let both = manifest::relay([destination("sink", &sink.url()), destination("other", &other.url())]);
    relay.change_manifest(&by_operator(both, 'c').to_string());
    let is_applied = |status: &Value| status["configurationHash"] == "c".repeat(64);
    let told = relay.probes.until("applied", is_applied).await;
    assert_eq!((&told["newerConfiguration"], &told["manifestProblem"]), (&json!(false), &Value::Null));
    assert_conserved(&mut relay, &sender, &[("sink", &sink)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_manifest_without_a_whole_one_from_before_ends_with_64() {
    let sink = Sink::start(Behaviour::Ok).await;
    let plain = manifest::relay([destination("sink", &sink.url())]);
    let mut relay = Relay::start(&by_operator(plain.clone(), 'a')).await;
    relay.kill();
    let applied = relay.data_dir().join("applied.yaml");
    let whole = fs::read_to_string(&applied).unwrap();

    // Still valid, but another address.
    fs::write(&applied, whole.replacen(&sink.url(), "https://127.0.0.1:1/", 1)).unwrap();
    let (code, said) = ends(&mut relay, &newer(by_operator(plain.clone(), 'b'))).await;
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("spec.tide: unknown field") && said.contains("applied.yaml is damaged"), "{said}");

    fs::remove_file(&applied).unwrap();
    let (code, said) = ends(&mut relay, &newer(by_operator(plain.clone(), 'b'))).await;
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("applied.yaml does not exist: no manifest was applied here before"), "{said}");

    // One of a user's own is wrong, and not newer.
    fs::write(&applied, whole).unwrap();
    let (code, said) = ends(&mut relay, &newer(plain)).await;
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("spec.tide: unknown field") && !said.contains("operator"), "{said}");
}

#[test]
fn first_start_with_a_newer_manifest_ends_with_64_and_says_why() {
    let folder = TempDir::new().unwrap();
    let manifest = newer(by_operator(manifest::relay([destination("sink", "https://127.0.0.1/")]), 'a'));
    let path = folder.path().join("manifest.yaml");
    fs::write(&path, manifest.to_string()).unwrap();
    let data_dir = folder.path().join("data");
    let args = ["run", "--manifest", path.to_str().unwrap(), "--data-dir", data_dir.to_str().unwrap()];
    let ended = Process::run(RELAY, args);
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(64), "{said}");
    assert!(said.contains("spec.tide: unknown field") && said.contains("does not exist"), "{said}");
    assert!(!data_dir.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_between_two_manifests_leaves_one_of_them_whole() {
    let sink = Sink::start(Behaviour::Ok).await;
    let with_timeout = |timeout: &str, hash: char| {
        let mut manifest = manifest::relay([destination("sink", &sink.url())]);
        manifest["spec"]["destinations"][0]["timeout"] = timeout.into();
        by_operator(manifest, hash)
    };
    let [first, second] = [with_timeout("2s", 'a'), with_timeout("3s", 'b')];
    let mut relay = Relay::start(&first).await;
    for round in 0..8 {
        relay.change_manifest(&(if round % 2 == 0 { &second } else { &first }).to_string());
        // Anywhere between the notice of the change and its end.
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..40))).await;
        relay.kill();
        relay.restart_with(&newer(first.clone())).await;
        let hash = relay.probes.status().await["configurationHash"].clone();
        assert!(hash == "a".repeat(64) || hash == "b".repeat(64), "{hash}");
    }
}
