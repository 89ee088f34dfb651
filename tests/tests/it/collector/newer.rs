//! Manifests of an operator of another version. One that the collector cannot read leaves the last one running, over
//! restarts too.

use serde_json::json;
use visnyk_tests::{
    collector::{COLLECTOR, Collector},
    manifest::{self, by_operator},
    process::Process,
};

#[tokio::test(flavor = "multi_thread")]
async fn newer_manifest_leaves_the_last_one_running_over_a_kill() {
    let mut collector = Collector::start(&by_operator(manifest::collector(), 'a')).await;
    let mut newer = by_operator(manifest::collector(), 'b');
    newer["spec"]["log"]["tide"] = json!("high");
    collector.change_manifest(&newer.to_string());
    collector.probes.until("told of", |status| status["newerConfiguration"] == true).await;
    collector.process.kill();
    collector.restart().await;
    let told = collector.probes.status().await;
    assert_eq!(
        (&told["newerConfiguration"], &told["configurationHash"]),
        (&json!(true), &json!("a".repeat(64)))
    );
    let client = collector.client();
    assert_eq!(client.post(collector.url()).body("one").send().await.unwrap().status(), 200);
    // The command finds the log by the same manifest.
    let manifest = format!("--manifest={}", collector.folder().join("manifest.yaml").display());
    let data_dir = format!("--data-dir={}", collector.data_dir().display());
    let tail = Process::run(COLLECTOR, ["tail", &manifest, &data_dir]);
    assert_eq!(String::from_utf8(tail.stdout).unwrap(), "one\n");
    collector.change_manifest(&by_operator(manifest::collector(), 'c').to_string());
    let told =
        collector.probes.until("applied", |status| status["configurationHash"] == "c".repeat(64)).await;
    assert_eq!(told["newerConfiguration"], false);
}
