//! The wire formats of the old system, byte for byte, and what goes with an event.

use std::collections::BTreeMap;

use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, COOKIE};
use serde_json::json;
use visnyk_tests::{
    collector::Collector,
    conservation::assert_conserved,
    manifest::{self, collector_destination, destination, with},
    relay::Relay,
    sender::Sender,
    sink::{Behaviour, Sink},
    wait::eventually,
};

/// The log line of the old system for a payload, without its time.
const PAYLOAD: &str = r#"{"city":"Київ","value":7.143,"list":[1,2],"none":null}"#;
const LINE: &str =
    r#" - Received data: {"city": "\u041a\u0438\u0457\u0432", "value": 7.143, "list": [1, 2], "none": null}"#;

#[tokio::test(flavor = "multi_thread")]
async fn sender_is_answered_as_of_old() {
    let sink = Sink::start(Behaviour::Ok).await;
    let relay = Relay::start(&manifest::relay([destination("sink", &sink.url())])).await;
    let client = relay.client();

    let taken = client.post(relay.url()).body(PAYLOAD).send().await.unwrap();
    assert_eq!(taken.status(), 200);
    assert_eq!(taken.headers()[CONTENT_TYPE], "application/json");
    let id = taken.headers()["visnyk-id"].to_str().unwrap().to_owned();
    assert_eq!(taken.bytes().await.unwrap(), "{\"success\":\"Webhook handled\"}\n");
    sink.took(&id).await;

    let refused = client.post(relay.url()).body("not JSON").send().await.unwrap();
    assert_eq!(refused.status(), 400);
    assert_eq!(refused.headers()[CONTENT_TYPE], "application/json");
    assert!(!refused.headers().contains_key("visnyk-id"));
    assert_eq!(refused.bytes().await.unwrap(), "{\"error\":\"Invalid JSON\"}\n");
    let coded = client.post(relay.url()).header(CONTENT_ENCODING, "gzip").body("\u{1f}");
    let refused = coded.send().await.unwrap();
    assert_eq!(refused.status(), 415);
    assert_eq!(refused.headers()[ACCEPT_ENCODING], "identity");
    assert_eq!(relay.probes.status().await["accepted"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn original_is_the_body_and_the_headers_as_they_came_but_for_secrets() {
    let sink = Sink::start(Behaviour::Ok).await;
    let relay = Relay::start(&manifest::relay([destination("sink", &sink.url())])).await;
    let request = relay
        .client()
        .post(relay.url())
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .header("x-github-event", "push")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header(AUTHORIZATION, "Bearer canary")
        .header(COOKIE, "session=canary")
        .header("x-hub-signature-256", "sha256=canary")
        .header("x-auth-token", "canary")
        .header("x-forwarded-for", "canary")
        .header("x-original-url", "/canary")
        .body(PAYLOAD);
    let answer = request.send().await.unwrap();
    let id = answer.headers()["visnyk-id"].to_str().unwrap();
    let taken = sink.took(id).await.remove(0);
    assert_eq!(taken.body, PAYLOAD);
    assert_eq!(taken.headers[CONTENT_TYPE], "application/json; charset=utf-8");
    assert_eq!(taken.headers["x-github-event"], "push");
    assert_eq!(taken.headers["traceparent"], "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert!(!format!("{:?}", taken.headers).contains("canary"), "{:?}", taken.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn line_is_the_old_log_line() {
    let sink = Sink::start(Behaviour::Ok).await;
    let line = with(destination("sink", &sink.url()), json!({"format": "Line"}));
    let relay = Relay::start(&manifest::relay([line])).await;
    let answer = relay.client().post(relay.url()).body(PAYLOAD).send().await.unwrap();
    let id = answer.headers()["visnyk-id"].to_str().unwrap();
    let taken = sink.took(id).await.remove(0);
    let body = std::str::from_utf8(&taken.body).unwrap();
    let (time, rest) = body.split_at("2023-09-10 17:24:31,123".len());
    assert_eq!(shape(time), "0000-00-00 00:00:00,000");
    assert_eq!(rest, format!("{LINE}\n"));
    assert!(!taken.headers.contains_key(CONTENT_TYPE));
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeat_has_the_old_body_and_is_counted_nowhere() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    manifest["spec"]["heartbeat"] = json!({"every": "1s", "to": ["sink"]});
    let mut relay = Relay::start(&manifest).await;
    let beats = sink.attempted(2).await;
    for beat in &beats {
        let body = std::str::from_utf8(&beat.body).unwrap();
        assert_eq!(beat.id, None);
        let expected = r#"{"timestamp": "0000-00-00 00:00:00,000", "message": "Received data: {\"heartbeat\": \"alive\"}"}"#;
        assert_eq!(shape(body), expected);
    }
    assert_eq!(relay.probes.status().await["accepted"], 0);
    let sender = Sender::to(&relay);
    assert_conserved(&mut relay, &sender, &[("sink", &sink)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn xml_text_and_forms_are_accepted_and_delivered_as_they_came() {
    let sink = Sink::start(Behaviour::Ok).await;
    let relay = Relay::start(&manifest::relay([destination("sink", &sink.url())])).await;
    for (content_type, body) in [
        ("application/xml", "<alarm state=\"raised\"/>"),
        ("text/plain", "link down\nfor good"),
        ("application/x-www-form-urlencoded", "state=raised&from=bolinas"),
        ("multipart/form-data; boundary=x", "--x\r\n\r\n\r\n--x--"),
    ] {
        let request = relay.client().post(relay.url()).header(CONTENT_TYPE, content_type).body(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{content_type}");
        let taken = sink.took(answer.headers()["visnyk-id"].to_str().unwrap()).await.remove(0);
        assert_eq!(taken.body, body);
        assert_eq!(taken.headers[CONTENT_TYPE], content_type);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn collector_of_the_peers_folder_gets_both_formats_over_https() {
    let collector = Collector::start(&manifest::collector()).await;
    let destinations =
        [with(collector_destination("line"), json!({"format": "Line"})), collector_destination("copy")];
    // The relay starts before anyone has told it where the collector is.
    let relay = Relay::start(&manifest::relay(destinations)).await;
    relay.client().post(relay.url()).body(PAYLOAD).send().await.unwrap().error_for_status().unwrap();
    collector.introduce_to(&relay.peers_dir());
    let log = eventually("two lines", async || collector.log(), |log| log.lines().count() == 2).await;
    let lines: BTreeMap<bool, &str> = log.lines().map(|line| (line == PAYLOAD, line)).collect();
    assert_eq!(lines[&true], PAYLOAD);
    assert_eq!(&lines[&false]["2023-09-10 17:24:31,123".len()..], LINE);
}

/// Returns the text with every digit made zero.
fn shape(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}
