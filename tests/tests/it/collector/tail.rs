//! The end of the log, as `kubectl exec` shows it.

use std::process::Output;

use visnyk_tests::{
    collector::{COLLECTOR, Collector},
    manifest,
    process::Process,
};

#[tokio::test(flavor = "multi_thread")]
async fn tail_prints_the_last_lines_of_the_log_that_the_manifest_names() {
    let mut manifest = manifest::collector();
    manifest["spec"]["log"]["path"] = "deep/er.log".into();
    let collector = Collector::start(&manifest).await;
    for body in ["one", "two", "three"] {
        let sent = collector.client().post(collector.url()).body(body).send().await.unwrap();
        assert_eq!(sent.status(), 200);
    }
    let tail = |more: &[&str]| -> Output {
        let manifest = format!("--manifest={}", collector.folder().join("manifest.yaml").display());
        let data_dir = format!("--data-dir={}", collector.data_dir().display());
        let args = ["tail", &manifest, &data_dir];
        Process::run(COLLECTOR, args.iter().chain(more))
    };
    assert_eq!(String::from_utf8(tail(&["-n", "2"]).stdout).unwrap(), "two\nthree\n");
    assert_eq!(String::from_utf8(tail(&[]).stdout).unwrap(), "one\ntwo\nthree\n");
}

#[test]
fn tail_of_a_log_that_is_not_there_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifest.yaml");
    std::fs::write(&path, manifest::collector().to_string()).unwrap();
    let args = ["tail", "--manifest", path.to_str().unwrap(), "--data-dir", folder.path().to_str().unwrap()];
    let output = Process::run(COLLECTOR, args);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("webhook.log cannot be read"));
}
