//! Whatever a known sender sends is an event, and is delivered as it came.

use visnyk_tests::{
    provider::sign,
    sink::{Behaviour, Sink},
};

use super::{relay_with, secret_refs};

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_parsed_is_delivered_byte_for_byte() {
    let sink = Sink::start(Behaviour::Ok).await;
    let relay = relay_with(serde_json::json!({"github": secret_refs()}), &sink).await;
    let client = relay.client();
    let bodies: [(&str, &[u8]); 8] = [
        ("application/json", b"{\"a\":  1e400}\n"),
        ("application/json", b"{\"cut\": "),
        ("application/json", b"\xff\x00\xfe"),
        ("application/json", b""),
        ("application/xml", b"<a><b></a>"),
        ("application/x-www-form-urlencoded", b"a=%zz&&=b&a"),
        ("multipart/form-data; boundary=x", b"--y\r\n"),
        ("text/plain; charset=utf-8", b"link\r\ndown \xc3"),
    ];
    for (content_type, body) in bodies {
        let answer =
            sign("github", body).with("content-type", content_type).send(&client, &relay.url()).await;
        assert_eq!(answer.status(), 200, "{content_type}");
        let taken = sink.took(answer.headers()["visnyk-id"].to_str().unwrap()).await.remove(0);
        assert_eq!((&*taken.body, taken.headers["content-type"].as_bytes()), (body, content_type.as_bytes()));
    }
}
