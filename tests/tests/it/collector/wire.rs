//! The old collector's wire format, byte for byte, and the refusals around it.

use std::{fs, process::Output};

use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};
use visnyk_tests::{
    client,
    collector::{COLLECTOR, Collector},
    manifest::{self, COLLECTOR_PORT},
    process::Process,
    wait::eventually,
};

#[tokio::test(flavor = "multi_thread")]
async fn body_is_answered_and_logged_as_of_old() {
    let collector = Collector::start(&manifest::collector()).await;
    let client = collector.client();
    for (path, body) in
        [("", r#"{"a": 1}"#), ("any/path?b=2", "old line\n"), ("", "two\nlines\r\n"), ("", "")]
    {
        let url = format!("{}{path}", collector.url());
        let answer = client.post(url).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()[CONTENT_TYPE], "text/html");
        assert_eq!(answer.bytes().await.unwrap(), "POST request received and processed.");
    }
    assert_eq!(collector.log(), "{\"a\": 1}\nold line\ntwo\\nlines\\r\n\n");
    let status = collector.probes.status().await;
    assert_eq!(status["lines"], 4);
    assert_eq!(status["bytes"], collector.log().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_spoken_when_said_aloud() {
    let manifest = with_listener(json!({"port": COLLECTOR_PORT, "tls": {"none": {}}}));
    let collector = Collector::start(&manifest).await;
    let url = format!("http://{}/", collector.address().port(COLLECTOR_PORT));
    assert_eq!(client::http().post(url).body("plain").send().await.unwrap().status(), 200);
    assert_eq!(collector.log(), "plain\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_and_large_bodies_are_refused_with_a_reason() {
    let listener = json!({"port": COLLECTOR_PORT, "tls": {"selfSigned": {}}, "maxBodySize": "1Ki"});
    let collector = Collector::start(&with_listener(listener)).await;
    let client = collector.client();
    for (method, body, status, reason) in [
        (Method::GET, 0, 405, "Only POST here"),
        (Method::PUT, 5, 405, "Only POST here"),
        (Method::DELETE, 0, 405, "Only POST here"),
        (Method::POST, 1025, 413, "Body has more than 1024 bytes"),
    ] {
        let request = client.request(method.clone(), collector.url()).body("x".repeat(body));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{method}");
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(answer.text().await.unwrap(), format!("{{\"error\":\"{reason}\"}}\n"));
    }
    let largest = client.post(collector.url()).body("x".repeat(1024)).send().await.unwrap();
    assert_eq!(largest.status(), 200);
    assert_eq!(collector.log().len(), 1025);
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_line_is_logged_with_its_webhook_id() {
    let collector = Collector::start(&manifest::collector()).await;
    let request =
        collector.client().post(collector.url()).header("webhook-id", "msg_canary").body("secret text");
    request.send().await.unwrap().error_for_status().unwrap();
    let is_told = |said: &String| {
        said.lines().any(|line| line.contains("line accepted") && line.contains("msg_canary"))
    };
    // Logging never waits, so the line may come after the answer.
    let said = eventually("the line is logged", async || collector.process.said(), is_told).await;
    assert!(!said.contains("secret text"), "a body stands in the log");
}

#[test]
fn check_names_every_mistake_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifest.yaml");
    let check = |text: &str| -> Output {
        fs::write(&path, text).unwrap();
        Process::run(COLLECTOR, ["check", "--manifest", path.to_str().unwrap()])
    };

    let valid = check(&manifest::collector().to_string());
    assert_eq!(valid.status.code(), Some(0), "{valid:?}");

    let mut wrong = with_listener(json!({"port": 0, "tls": {}}));
    wrong["spec"]["log"]["path"] = "../elsewhere.log".into();
    wrong["spec"]["surprise"] = true.into();
    let refused = check(&wrong.to_string());
    assert_eq!(refused.status.code(), Some(64), "{refused:?}");
    let said = String::from_utf8(refused.stderr).unwrap();
    for place in ["spec.listener.port: ", "spec.listener.tls: ", "spec.log.path: ", "spec.surprise: "] {
        assert_eq!(said.lines().filter(|line| line.starts_with(place)).count(), 1, "{place} in:\n{said}");
    }
    assert_eq!(said.lines().count(), 4, "{said}");

    let missing = Process::run(COLLECTOR, ["check", "--manifest", "/does/not/exist.yaml"]);
    assert_eq!(missing.status.code(), Some(64), "{missing:?}");
}

#[test]
fn run_with_a_bad_manifest_ends_before_it_touches_anything() {
    let folder = tempfile::tempdir().unwrap();
    let (path, data) = (folder.path().join("manifest.yaml"), folder.path().join("data"));
    fs::write(&path, with_listener(json!({"port": 0, "tls": {"none": {}}})).to_string()).unwrap();
    let args = ["run", "--manifest", path.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
    let output = Process::run(COLLECTOR, args);
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    assert!(!data.exists());
}

fn with_listener(listener: Value) -> Value {
    let mut manifest = manifest::collector();
    manifest["spec"]["listener"] = listener;
    manifest
}
