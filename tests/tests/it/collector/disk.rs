//! A full disk: refused, said aloud, and over as soon as there is room.

use visnyk_tests::{collector::Collector, manifest, mount::Mount};

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_is_503_until_there_is_room_and_loses_nothing() {
    let Some(disk) = Mount::ext4(64) else { return };
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start_in(folder, disk.path().join("data"), &manifest::collector());
    collector.probes.ready().await;
    let client = collector.client();
    let post = async |body: String| client.post(collector.url()).body(body).send().await.unwrap();

    assert_eq!(post("before".into()).await.status(), 200);
    let filler = disk.fill();
    let refused = post("x".repeat(64 << 10)).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    let why = collector.probes.unready().await;
    let problem = collector.probes.status().await["storageProblem"].clone();
    assert_eq!(why, format!("log: {}\n", problem.as_str().unwrap()));
    assert!(collector.probes.alive().await, "a full disk is nothing that a restart would mend");

    std::fs::remove_file(filler).unwrap();
    collector.probes.ready().await;
    assert!(collector.probes.status().await["storageProblem"].is_null());
    assert_eq!(post("after".into()).await.status(), 200);
    assert_eq!(collector.log(), "before\nafter\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn collector_that_starts_on_a_full_disk_waits_for_room() {
    let Some(disk) = Mount::ext4(64) else { return };
    std::fs::create_dir(disk.path().join("data")).unwrap();
    std::fs::write(disk.path().join("data/webhook.log"), "x".repeat(4096)).unwrap();
    let filler = disk.fill();
    let mut manifest = manifest::collector();
    manifest["spec"]["listener"]["tls"] = serde_json::json!({"none": {}});
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start_in(folder, disk.path().join("data"), &manifest);
    // The torn line cannot be closed: that takes a block.
    assert!(collector.probes.unready().await.starts_with("log: "));
    std::fs::remove_file(filler).unwrap();
    collector.probes.ready().await;
    assert_eq!(collector.log(), "x".repeat(4096) + "\n");
}
