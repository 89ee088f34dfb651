use std::fmt::Write;

use expect_test::{Expect, expect};

use super::*;
use crate::deliver::testing::{attempted_at, event};
use crate::event::Attributes;

fn text(message: &Message) -> String {
    let mut text = String::new();
    for (name, value) in &message.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let _ = writeln!(text, "{name}: {value}");
    }
    text + "\n" + &String::from_utf8_lossy(&message.body) + "\n"
}

fn check(mode: Mode, event: &Event, expected: &Expect) {
    expected.assert_eq(&text(&message(mode, event, attempted_at())));
}

/// As a source of GitHub's leaves it.
fn push(content_type: &str, body: &[u8]) -> Event {
    let headers = [("content-type", content_type), ("x-github-event", "push"), ("ce-id", "forged")];
    let mut event = event(&headers, body);
    *event.envelope.attributes = Attributes {
        kind: Some("push \"ї\"".into()),
        id: Some("72d3162e".into()),
        origin: None,
        time_ms: Some(1_694_355_870_000),
    };
    event
}

#[test]
fn binary_is_the_body_as_it_came_and_what_the_sender_said_in_headers() {
    check(
        Mode::Binary,
        &push("application/json", b"{\"a\" :1.0}"),
        &expect![[r#"
            webhook-id: 00000000-0000-0000-0000-000000000007
            webhook-timestamp: 1700000000
            user-agent: visnyk/0.1.0
            ce-type: push%20%22%D1%97%22
            x-github-event: push
            ce-id: 72d3162e
            ce-source: /network
            ce-specversion: 1.0
            ce-time: 2023-09-10T14:24:30Z
            content-type: application/json

            {"a" :1.0}
        "#]],
    );
}

#[test]
fn structured_holds_json_as_it_came() {
    check(
        Mode::Structured,
        &push("application/json", b"{\"a\" :1.0, \"a\":100000000000000000000}"),
        &expect![[r#"
            webhook-id: 00000000-0000-0000-0000-000000000007
            webhook-timestamp: 1700000000
            user-agent: visnyk/0.1.0
            content-type: application/cloudevents+json; charset=utf-8

            {"datacontenttype":"application/json","id":"72d3162e","source":"/network","specversion":"1.0","time":"2023-09-10T14:24:30Z","type":"push \"ї\"","data":{"a" :1.0, "a":100000000000000000000}}
        "#]],
    );
}

#[test]
fn structured_holds_text_as_text_and_all_else_as_base64() {
    let data = |content_type: &str, body: &[u8]| {
        let message = message(Mode::Structured, &push(content_type, body), attempted_at());
        let fields: Value = serde_json::from_slice(&message.body).unwrap();
        (fields["datacontenttype"].clone(), fields["data"].clone(), fields["data_base64"].clone())
    };
    let null = Value::Null;
    assert_eq!(data("text/xml", b"<a>\"</a>"), ("text/xml".into(), "<a>\"</a>".into(), null.clone()));
    assert_eq!(data("a/b+json; q=1", b"[1]"), ("a/b+json; q=1".into(), serde_json::json!([1]), null.clone()));
    let marked = "\u{feff}[1]".as_bytes();
    assert_eq!(data("application/json", marked), (JSON.into(), serde_json::json!([1]), null.clone()));
    assert_eq!(data("application/json", b"{"), ("application/json".into(), null.clone(), "ew==".into()));
    assert_eq!(data("text/plain", b"\xff"), ("text/plain".into(), null.clone(), "/w==".into()));
    assert_eq!(data("text/plain", b""), ("text/plain".into(), null.clone(), null));
}

#[test]
fn of_a_sender_that_says_nothing_the_relay_says_what_it_knows() {
    check(
        Mode::Binary,
        &event(&[], b"{}"),
        &expect![[r"
            webhook-id: 00000000-0000-0000-0000-000000000007
            webhook-timestamp: 1700000000
            user-agent: visnyk/0.1.0
            ce-id: 00000000-0000-0000-0000-000000000007
            ce-source: /network
            ce-specversion: 1.0
            ce-time: 2023-09-10T14:24:31.123Z
            ce-type: dev.visnyk.event

            {}
        "]],
    );
}

/// As a source that knows CloudEvents leaves it.
fn spoken() -> Event {
    let headers = [
        ("content-type", "text/plain"),
        ("ce-specversion", "1.0"),
        ("ce-id", "A%20b"),
        ("ce-source", "urn:ships"),
        ("ce-type", "org.example.tide"),
        ("ce-time", "2023-09-10T14:24:31.123456Z"),
        ("ce-subject", "high"),
        ("ce-pilot", "Euro%20%E2%82%AC"),
    ];
    let mut event = event(&headers, b"tide");
    *event.envelope.attributes = Attributes {
        kind: Some("org.example.tide".into()),
        id: Some("A b".into()),
        origin: Some("urn:ships".into()),
        time_ms: Some(1_694_355_871_123),
    };
    event
}

#[test]
fn what_came_as_an_event_stays_it_in_every_attribute() {
    let binary = message(Mode::Binary, &spoken(), attempted_at());
    for (name, value) in &spoken().envelope.headers {
        assert_eq!(binary.headers[&name[..]].as_bytes(), value, "{name}");
    }
    assert_eq!(binary.headers.keys().filter(|name| name.as_str().starts_with("ce-")).count(), 7);
    check(
        Mode::Structured,
        &spoken(),
        &expect![[r#"
            webhook-id: 00000000-0000-0000-0000-000000000007
            webhook-timestamp: 1700000000
            user-agent: visnyk/0.1.0
            content-type: application/cloudevents+json; charset=utf-8

            {"data":"tide","datacontenttype":"text/plain","id":"A b","pilot":"Euro €","source":"urn:ships","specversion":"1.0","subject":"high","time":"2023-09-10T14:24:31.123456Z","type":"org.example.tide"}
        "#]],
    );
}

#[test]
fn event_with_another_repeat_id_keeps_every_attribute() {
    let mut event = spoken();
    // As `deduplicate.id` and Standard Webhooks leave it.
    event.envelope.attributes.id = Some("msg_1".into());
    event.envelope.attributes.origin = None;
    for mode in [Mode::Binary, Mode::Structured] {
        assert_eq!(message(mode, &event, attempted_at()), message(mode, &spoken(), attempted_at()));
    }
}

#[test]
fn structured_event_is_taken_apart_only_where_binary_is_wanted() {
    let body = br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","pilot":7,"datacontenttype":"text/plain","data":"a \"b\""}"#;
    let event = event(&[("content-type", "application/cloudevents+json; charset=UTF-8")], body);
    check(
        Mode::Binary,
        &event,
        &expect![[r#"
            webhook-id: 00000000-0000-0000-0000-000000000007
            webhook-timestamp: 1700000000
            user-agent: visnyk/0.1.0
            ce-type: t
            ce-id: 1
            ce-pilot: 7
            ce-source: /s
            ce-specversion: 1.0
            content-type: text/plain

            a "b"
        "#]],
    );
    let structured = message(Mode::Structured, &event, attempted_at());
    assert_eq!(structured.body, event.body);
    assert_eq!(structured.headers["content-type"], "application/cloudevents+json; charset=UTF-8");
}

#[test]
fn checksums_and_codings_go_only_with_the_body_that_they_describe() {
    let described =
        [("content-digest", "sha-256=:AA==:"), ("content-md5", "AA=="), ("content-encoding", "gzip")];
    let sent = |content_type: &'static str, body: &[u8], mode| {
        let headers = [&described[..], &[("content-type", content_type)]].concat();
        let message = message(mode, &event(&headers, body), attempted_at());
        described.iter().filter(|(name, _)| message.headers.contains_key(*name)).count()
    };
    let structured = br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1}"#;
    assert_eq!(sent(JSON, b"{}", Mode::Binary), 3, "the same body");
    assert_eq!(sent(STRUCTURED, structured, Mode::Structured), 3, "the same body");
    assert_eq!(sent(BATCH, b"[]", Mode::Binary), 3, "the same body");
    assert_eq!(sent(STRUCTURED, structured, Mode::Binary), 0, "its data alone");
    assert_eq!(sent(JSON, b"{}", Mode::Structured), 0, "the body within another");
}

#[test]
fn data_of_a_structured_event_is_what_it_stands_for() {
    let data = |fields: &str| {
        let body = format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t"{fields}}}"#);
        let event = event(&[("content-type", STRUCTURED)], body.as_bytes());
        let message = message(Mode::Binary, &event, attempted_at());
        let content_type =
            message.headers.get("content-type").map(|value| value.to_str().unwrap().to_owned());
        (content_type.unwrap_or_default(), String::from_utf8_lossy(&message.body).into_owned())
    };
    assert_eq!(data(""), (String::new(), String::new()));
    assert_eq!(data(r#","data":{"a": 1.0}"#), (JSON.into(), r#"{"a": 1.0}"#.into()));
    assert_eq!(data(r#","data":"a""#), (JSON.into(), r#""a""#.into()));
    assert_eq!(data(r#","data_base64":"YQ==","datacontenttype":"text/x""#), ("text/x".into(), "a".into()));
    for broken in [r#","data_base64":"?""#, r#","data":1,"data_base64":"YQ==""#, r#","pilot":{}"#] {
        assert_eq!(data(broken).0, STRUCTURED, "left as it is: {broken}");
    }
}

#[test]
fn a_batch_is_left_alone() {
    let event = event(&[("content-type", BATCH)], b"[]");
    for mode in [Mode::Binary, Mode::Structured] {
        let message = message(mode, &event, attempted_at());
        assert_eq!(
            (&message.body, &message.headers["content-type"]),
            (&event.body, &HeaderValue::from_static(BATCH))
        );
    }
}

#[test]
fn a_sign_of_life_is_an_event_too() {
    let beat = |mode| {
        super::super::heartbeat(
            visnyk_crds::valid::Format::CloudEvents(mode),
            attempted_at(),
            &jiff::tz::TimeZone::UTC,
        )
    };
    let binary = beat(Mode::Binary);
    assert_eq!(
        (&binary.headers["ce-type"], &binary.headers["content-type"]),
        (&HeaderValue::from_static(HEARTBEAT_TYPE), &HeaderValue::from_static(JSON))
    );
    let structured: Value = serde_json::from_slice(&beat(Mode::Structured).body).unwrap();
    assert_eq!(structured["data"]["message"], "Received data: {\"heartbeat\": \"alive\"}");
    assert_eq!(structured["time"], "2023-11-14T22:13:20Z");
}
