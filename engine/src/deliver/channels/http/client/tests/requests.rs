//! The parts of a request besides its body, and the meaning of each status.

use std::fs;

use visnyk_crds::valid::{Authorization, Header, HeaderContent, Method, SecretRef, Statuses, TemplatePart};

use super::*;
use crate::event::Attributes;

fn header(name: &str, parts: &[TemplatePart]) -> Header {
    Header { name: name.parse().unwrap(), value: HeaderContent::Template(parts.to_vec()) }
}

#[tokio::test]
async fn method_and_headers_are_those_of_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("pilot")).unwrap();
    fs::write(folder.path().join("pilot/key"), "k3y\n").unwrap();
    let secret = SecretRef { name: "pilot".into(), key: "key".into() };
    let sink = Sink::new(Answer::status("200 OK")).await;
    let text = |text: &str| TemplatePart::Text(text.into());
    let destination = Destination {
        method: Method::PATCH,
        headers: vec![
            header(
                "x-event",
                &[TemplatePart::Source, text("/"), TemplatePart::Type, text(" "), TemplatePart::Id],
            ),
            header("x-received", &[TemplatePart::Received]),
            header("x-none", &[TemplatePart::Type]),
            header("x-theirs", &[text("ours")]),
            header("user-agent", &[text("harbour")]),
            Header { name: "x-key".parse().unwrap(), value: HeaderContent::Secret(secret.clone()) },
        ],
        authorization: Some(Authorization::Basic { username: secret.clone(), password: secret }),
        ..destination(&sink.url())
    };
    let outbound = Outbound { secrets_dir: folder.path().to_owned(), ..outbound() };
    let channel = HttpChannel::new(&destination, &outbound);
    let mut event = event(&[("x-theirs", "theirs"), ("x-theirs", "twice")], b"{}");
    *event.envelope.attributes = Attributes { kind: Some("pu\r\nsh: ї".into()), ..Attributes::default() };
    assert_eq!(channel.send(&event, attempted_at()).await, Ok(Delivered { status: 200 }));
    assert_eq!(channel.send_heartbeat(attempted_at()).await, Ok(Delivered { status: 200 }));

    let requests = sink.requests();
    let lines = |request: &str| request.split("\r\n").map(ToOwned::to_owned).collect::<Vec<_>>();
    let request = lines(&requests[0]);
    for line in [
        "PATCH /in HTTP/1.1",
        "x-event: network/push: ї 00000000-0000-0000-0000-000000000007",
        "x-received: 2023-09-10T14:24:31.123Z",
        "x-theirs: ours",
        "user-agent: harbour",
        "x-key: k3y",
        "authorization: Basic azN5OmszeQ==",
    ] {
        assert!(request.iter().any(|one| one == line), "{line} in {request:#?}");
    }
    assert_eq!(request.iter().filter(|line| line.starts_with("x-theirs")).count(), 1);
    let heartbeat = lines(&requests[1]);
    assert!(heartbeat.iter().any(|line| line == "x-event: /"), "{heartbeat:#?}");
    for nothing in ["x-none", "x-received"] {
        assert!(!heartbeat.iter().any(|line| line.starts_with(nothing)), "{heartbeat:#?}");
    }
}

#[tokio::test]
async fn success_is_what_the_manifest_says() {
    let outcome = async |status: &str| {
        let sink = Sink::new(Answer::status(status)).await;
        let success = Statuses(vec![201..=204, 304..=304, 409..=409]);
        send_to(&Destination { success, ..destination(&sink.url()) }).await.map_err(|failure| failure.kind)
    };
    for status in [201, 204, 304, 409] {
        assert_eq!(outcome(&format!("{status} x")).await, Ok(Delivered { status }));
    }
    for status in [200, 205, 303, 410, 500] {
        assert_eq!(outcome(&format!("{status} x")).await, Err(FailureKind::Status(status)));
    }
}
