//! The bytes of a request on the wire.

use std::process::Command;

use expect_test::{Expect, expect};
use visnyk_crds::valid::Format;

use super::*;

async fn assert_sent(format: Format, expected: Expect) {
    let sink = Sink::new(Answer::status("200 OK")).await;
    let channel = HttpChannel::new(&Destination { format, ..destination(&sink.url()) }, &outbound());
    let headers = [("content-type", "application/json"), ("traceparent", "00-1-2-01")];
    channel.send(&event(&headers, b"{\"a\":\"\xc3\xa9\"}"), attempted_at()).await.unwrap();
    let sent = sink.requests().concat().replace(&sink.address.to_string(), "SINK").replace('\r', "");
    expected.assert_eq(&sent);
}

#[tokio::test]
async fn original_on_the_wire() {
    let expected = expect![[r#"
        POST /in HTTP/1.1
        webhook-id: 00000000-0000-0000-0000-000000000007
        webhook-timestamp: 1700000000
        user-agent: visnyk/0.1.0
        content-type: application/json
        traceparent: 00-1-2-01
        host: SINK
        content-length: 10

        {"a":"é"}"#]];
    assert_sent(Format::Original, expected).await;
}

#[tokio::test]
async fn line_on_the_wire() {
    let expected = expect![[r#"
        POST /in HTTP/1.1
        webhook-id: 00000000-0000-0000-0000-000000000007
        webhook-timestamp: 1700000000
        user-agent: visnyk/0.1.0
        traceparent: 00-1-2-01
        host: SINK
        content-length: 57

        2023-09-10 17:24:31,123 - Received data: {"a": "\u00e9"}
    "#]];
    assert_sent(Format::Line, expected).await;
}

#[tokio::test]
async fn heartbeat_on_the_wire() {
    let sink = Sink::new(Answer::status("200 OK")).await;
    let channel =
        HttpChannel::new(&Destination { format: Format::Line, ..destination(&sink.url()) }, &outbound());
    channel.send_heartbeat(attempted_at()).await.unwrap();
    let sent = sink.requests().concat().replace(&sink.address.to_string(), "SINK").replace('\r', "");
    let expected = expect![[r#"
        POST /in HTTP/1.1
        webhook-timestamp: 1700000000
        user-agent: visnyk/0.1.0
        host: SINK
        content-length: 96

        {"timestamp": "2023-11-15 00:13:20,000", "message": "Received data: {\"heartbeat\": \"alive\"}"}"#]];
    expected.assert_eq(&sent);
}

#[tokio::test]
async fn connection_is_used_again() {
    let sink = Sink::new(Answer::Whole("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".into())).await;
    let channel = HttpChannel::new(&destination(&sink.url()), &outbound());
    for _ in 0..20 {
        channel.send(&event(&[], b"{}"), attempted_at()).await.unwrap();
    }
    assert_eq!((sink.requests().len(), sink.connections()), (20, 1));
}

#[tokio::test]
async fn connection_that_is_not_used_for_a_while_is_closed() {
    let sink = Sink::new(Answer::status("200 OK")).await;
    let channel = HttpChannel::new(&destination(&sink.url()), &outbound());
    channel.send(&event(&[], b"{}"), attempted_at()).await.unwrap();
    let connections = &channel.route.as_ref().unwrap().connections;
    assert_eq!(connections.count(), 1);
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(connections.count(), 0);
    tokio::time::resume();
    channel.send(&event(&[], b"{}"), attempted_at()).await.unwrap();
    assert_eq!((connections.count(), sink.connections()), (1, 2));
}

/// Another process of this same test binary, since a process may not change its own environment safely.
#[tokio::test]
async fn proxies_of_the_environment_are_ignored() {
    let (proxy, sink) =
        (Sink::new(Answer::status("200 OK")).await, Sink::new(Answer::status("200 OK")).await);
    let proxy_url = format!("http://{}", proxy.address);
    let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let mut child = Command::new(std::env::current_exe().unwrap());
    let (_crate, module) = module_path!().split_once("::").unwrap();
    child.args([&format!("{module}::sends_where_the_variable_says"), "--exact", "--ignored"]);
    child.envs(names.map(|name| (name, &proxy_url))).env("SINK_URL", sink.url()).env_remove("NO_PROXY");
    let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!((proxy.connections(), sink.requests().len()), (0, 1));
}

#[tokio::test]
#[ignore = "the other half of proxies_of_the_environment_are_ignored"]
async fn sends_where_the_variable_says() {
    send_to(&destination(&std::env::var("SINK_URL").unwrap())).await.unwrap();
}
