//! Requests that are refused, with a reason, and never delivered.

use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::json;
use visnyk_tests::{
    conservation::assert_conserved,
    files::write_secret,
    manifest::{self, destination},
    relay::Relay,
    sender::{Outcome, Sender, json_of},
    sink::{Behaviour, Sink},
};

#[tokio::test(flavor = "multi_thread")]
async fn wrong_path_method_and_size_are_refused_with_a_reason() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    manifest["spec"]["listener"]["maxBodySize"] = "1Ki".into();
    let mut relay = Relay::start(&manifest).await;
    let large = json_of(1025);
    for (method, path, body, status) in [
        (Method::POST, "elsewhere", "{}", 404),
        (Method::GET, "", "", 405),
        (Method::PUT, "", "{}", 405),
        (Method::POST, "", large.as_str(), 413),
        (Method::POST, "", "", 400),
        (Method::POST, "", "{\"cut\": ", 400),
    ] {
        let url = format!("{}{path}", relay.url());
        let request = relay.client().request(method.clone(), url).body(body.to_owned());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path} {body}");
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/json");
        let reason: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert!(reason["error"].is_string(), "{reason}");
    }
    assert_eq!(relay.probes.status().await["accepted"], 0);
    let sender = Sender::to(&relay);
    assert_conserved(&mut relay, &sender, &[("sink", &sink)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sender_without_the_token_is_refused_and_a_rotated_token_is_taken_up() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    manifest["spec"]["sources"][0]["verify"] =
        json!({"bearer": {"secretRefs": [{"name": "front", "key": "token"}]}});
    let folder = tempfile::tempdir().unwrap();
    write_secret(folder.path(), "front", "token", "first\n");
    let data_dir = folder.path().join("data");
    let mut relay = Relay::start_in(folder, data_dir, &manifest).await;

    let sender = Sender::with_token(&relay, Some("first"));
    sender.send(3, 1).await;
    for token in [None, Some("second"), Some("")] {
        assert_eq!(Sender::with_token(&relay, token).send_one().await, Outcome::Refused(401), "{token:?}");
    }
    assert_conserved(&mut relay, &sender, &[("sink", &sink)]).await;

    std::fs::write(relay.secrets_dir().join("front/token"), "second").unwrap();
    let second = Sender::with_token(&relay, Some("second"));
    let taken_up = async || second.send_one().await;
    visnyk_tests::wait::eventually("the new token", taken_up, |outcome| {
        matches!(outcome, Outcome::Accepted(_))
    })
    .await;
    assert_eq!(sender.send_one().await, Outcome::Refused(401));
}
