use expect_test::expect;

use super::*;
use crate::deliver::testing::{attempted_at, event};

fn kyiv() -> TimeZone {
    TimeZone::get("Europe/Kyiv").unwrap()
}

fn text(message: &Message) -> String {
    let value = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut lines: Vec<_> =
        message.headers.iter().map(|(name, text)| format!("{name}: {}", value(text))).collect();
    lines.extend(["", std::str::from_utf8(&message.body).unwrap()].map(String::from));
    lines.join("\n")
}

fn line_of(body: &[u8]) -> String {
    String::from_utf8(message(Format::Line, &event(&[], body), attempted_at(), &kyiv()).body.to_vec())
        .unwrap()
}

#[test]
fn original_is_the_body_as_it_came_with_the_headers_that_came_with_it() {
    let event = event(
        &[
            ("content-type", "application/json; charset=utf-8"),
            ("x-event", "push"),
            ("x-event", "again"),
            ("user-agent", "somebody/1"),
            ("webhook-id", "theirs"),
            ("webhook-timestamp", "1"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("tracestate", "a=1"),
            ("content-encoding", "identity"),
            ("host", "relay"),
            ("content-length", "999"),
            ("transfer-encoding", "chunked"),
            ("connection", "close"),
            ("authorization", "Bearer canary"),
            ("x-hub-signature-256", "canary"),
            ("not a name", "x"),
            ("x-not-a-value", "a\r\nb: c"),
        ],
        "{\"a\" :\t\"ї\"}\n".as_bytes(),
    );
    let expected = expect![[r#"
        webhook-id: 00000000-0000-0000-0000-000000000007
        webhook-timestamp: 1700000000
        user-agent: visnyk/0.1.0
        content-type: application/json; charset=utf-8
        x-event: push
        x-event: again
        traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
        tracestate: a=1
        content-encoding: identity

        {"a" :	"ї"}
    "#]];
    expected.assert_eq(&text(&message(Format::Original, &event, attempted_at(), &kyiv())));
}

#[test]
fn line_is_the_old_log_line_without_content_type() {
    let event = event(
        &[
            ("content-type", "application/json"),
            ("x-event", "push"),
            ("traceparent", "00-1-2-01"),
            ("tracestate", "a=1"),
        ],
        "{\"objectName\":\"some_objectName\",\"from_city\":\"Київ\",\"value\":4.0}".as_bytes(),
    );
    let expected = expect![[r#"
        webhook-id: 00000000-0000-0000-0000-000000000007
        webhook-timestamp: 1700000000
        user-agent: visnyk/0.1.0
        traceparent: 00-1-2-01
        tracestate: a=1

        2023-09-10 17:24:31,123 - Received data: {"objectName": "some_objectName", "from_city": "\u041a\u0438\u0457\u0432", "value": 4.0}
    "#]];
    expected.assert_eq(&text(&message(Format::Line, &event, attempted_at(), &kyiv())));
}

#[test]
fn body_that_is_not_json_stays_one_ascii_line() {
    let lines = [
        ("a=1&b=2".as_bytes(), "a=1&b=2"),
        ("<a>\r\n  <b>ї</b>\n</a>".as_bytes(), r"<a>\r\n  <b></b>\n</a>"),
        (b"\xff{\"a\":\n1}", r#"{"a":\n1}"#),
        (b"", ""),
    ];
    for (body, data) in lines {
        assert_eq!(line_of(body), format!("2023-09-10 17:24:31,123 - Received data: {data}\n"));
    }
}

#[test]
fn lines_are_written_in_the_zone_they_are_read_in() {
    let at = |zone: &str| line::timestamp(event(&[], b"").received_at(), &TimeZone::get(zone).unwrap());
    assert_eq!(at("UTC"), "2023-09-10 14:24:31,123");
    assert_eq!(at("Asia/Kathmandu"), "2023-09-10 20:09:31,123");
    assert_eq!(at("America/St_Johns"), "2023-09-10 11:54:31,123");
}

#[test]
fn heartbeat_is_as_the_old_system_sent_it() {
    let at = event(&[], b"").received_at();
    let line = heartbeat(Format::Line, at, &kyiv());
    let expected =
        r#"{"timestamp": "2023-09-10 17:24:31,123", "message": "Received data: {\"heartbeat\": \"alive\"}"}"#;
    assert_eq!(line.body, expected);
    assert_eq!(line.headers.get(header::CONTENT_TYPE), None);

    let original = heartbeat(Format::Original, at, &kyiv());
    assert_eq!(original.body, expected);
    assert_eq!(original.headers[header::CONTENT_TYPE], "application/json");
    assert!(!original.headers.contains_key("webhook-id") && !line.headers.contains_key("webhook-id"));
}
