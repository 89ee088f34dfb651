//! Requests with which providers check an endpoint are answered, and are no events.

use serde_json::json;
use visnyk_tests::{
    manifest::{self, destination},
    provider::{SECRET, sign},
    sink::{Behaviour, Sink},
};

use super::{metric, secret_refs, start};

#[tokio::test(flavor = "multi_thread")]
async fn greetings_are_answered_and_never_stored() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    let mut meta = secret_refs();
    meta["verifyToken"] = json!({"name": "hook", "key": "two"});
    manifest["spec"]["sources"] = json!([
        {"name": "github", "path": "/github", "verify": {"github": secret_refs()}},
        {"name": "slack", "path": "/slack", "verify": {"slack": secret_refs()}},
        {"name": "shop", "path": "/shop", "verify": {"wooCommerce": secret_refs()}},
        {"name": "meta", "path": "/meta", "verify": {"meta": meta}},
    ]);
    let relay = start(&manifest).await;
    let client = relay.client();
    let url = |path: &str| format!("{}{path}", relay.url());

    let ping = sign("github", b"{\"zen\": \"Design for failure.\"}").with("x-github-event", "ping");
    assert_eq!(ping.send(&client, &url("github")).await.status(), 200);
    let unsigned = ping.with("x-hub-signature-256", "sha256=00");
    assert_eq!(unsigned.send(&client, &url("github")).await.status(), 401);

    let challenge = b"{\"type\": \"url_verification\", \"challenge\": \"3eZbrw1a\"}";
    let answer = sign("slack", challenge).send(&client, &url("slack")).await;
    assert_eq!((answer.status().as_u16(), &*answer.text().await.unwrap()), (200, "3eZbrw1a"));
    let unsigned = sign("slack", challenge).with("x-slack-signature", "v0=00");
    let answer = unsigned.send(&client, &url("slack")).await;
    assert_eq!(answer.status(), 401);
    assert!(!answer.text().await.unwrap().contains("3eZbrw1a"), "a stranger's challenge was answered");

    let form = ("content-type", "application/x-www-form-urlencoded");
    let saved = client.post(url("shop")).header(form.0, form.1).body("webhook_id=42").send().await.unwrap();
    assert_eq!((saved.status().as_u16(), &*saved.text().await.unwrap()), (200, ""));
    let event =
        client.post(url("shop")).header(form.0, form.1).body("webhook_id=42&a=b").send().await.unwrap();
    assert_eq!(event.status(), 401);

    let query = format!("meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={SECRET}");
    let answer = client.get(url(&query)).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &*answer.text().await.unwrap()), (200, "1158201444"));
    let wrong = client.get(url(&query.replace("token=w", "token=x"))).send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    assert_eq!(client.get(url("github")).send().await.unwrap().status(), 405, "others do not ask by GET");

    assert_eq!(relay.probes.status().await["accepted"], 0);
    assert!(sink.arrivals().is_empty());
    assert_eq!(
        metric(&relay, "visnyk_greetings").await,
        ["github", "meta", "shop", "slack"]
            .map(|source| format!("visnyk_greetings_total{{source=\"{source}\"}} 1"))
    );
}
