//! A stranger learns nothing and leaves nothing; the operator learns why it was refused.

use serde_json::json;
use visnyk_tests::{
    manifest::{self, destination},
    provider::{now, sign, sign_at},
    sink::{Behaviour, Sink},
    wait::eventually,
};

use super::{metric, relay_with, secret_refs, start};

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_looks_the_same_and_is_counted_by_its_reason() {
    let sink = Sink::start(Behaviour::Ok).await;
    let relay = relay_with(json!({"slack": secret_refs()}), &sink).await;
    let client = relay.client();
    let good = sign("slack", b"{}");
    let mut missing = good.clone();
    missing.headers.retain(|(name, _)| *name != "x-slack-signature");
    let mut repeated = good.clone();
    repeated.headers.push(("x-slack-signature", "v0=00".into()));
    let strangers = [
        missing,
        repeated,
        good.clone().with("x-slack-signature", "v0=0"),
        sign_at("slack", b"{}", now() - 310),
        sign_at("slack", b"{}", now() + 310),
        good.clone().with("x-slack-signature", &format!("v0={}", "0".repeat(64))),
    ];
    for stranger in &strangers {
        let answer = stranger.send(&client, &relay.url()).await;
        assert_eq!(answer.status(), 401, "{stranger:?}");
        assert_eq!(answer.headers()["www-authenticate"], "Webhook realm=\"visnyk\"");
        assert_eq!(answer.text().await.unwrap(), "{\"error\":\"Not authorized\"}\n");
    }
    let expected = [("malformed", 1), ("missing", 1), ("repeated", 1), ("time", 2), ("wrong", 1)].map(
        |(reason, count)| {
            format!("visnyk_unverified_requests_total{{source=\"network\",reason=\"{reason}\"}} {count}")
        },
    );
    assert_eq!(metric(&relay, "visnyk_unverified_requests").await, expected);
    assert_eq!(relay.probes.status().await["accepted"], 0);

    assert_eq!(good.send(&client, &relay.url()).await.status(), 200);
    sink.took_events(1).await;
    assert_eq!(sink.arrivals().len(), 1);
    let expected = json!([{
        "name": "network", "accepted": 1, "repeats": 0, "greetings": 0, "waitsFor": null,
        "refused": {"malformed": 1, "missing": 1, "repeated": 1, "time": 2, "wrong": 1},
    }]);
    assert_eq!(relay.probes.status().await["sources"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_secret_refuses_all_and_a_new_one_applies_at_once() {
    let sink = Sink::start(Behaviour::Ok).await;
    let relay = relay_with(json!({"github": secret_refs()}), &sink).await;
    let client = relay.client();
    let signed = sign("github", b"{}");
    let status = async || signed.send(&client, &relay.url()).await.status().as_u16();
    assert_eq!(status().await, 200);
    let file = relay.secrets_dir().join("hook/one");
    std::fs::rename(&file, file.with_extension("away")).unwrap();
    eventually("nobody is let in", status, |status| *status == 503).await;
    let waits_for = &relay.probes.status().await["sources"][0]["waitsFor"];
    assert_eq!(waits_for, "secret hook/one cannot be read: No such file or directory (os error 2)");
    std::fs::rename(file.with_extension("away"), &file).unwrap();
    eventually("the sender is let in", status, |status| *status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_from_elsewhere_is_refused_whatever_it_proves() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    let source = |name: &str, range: &str| json!({"name": name, "path": format!("/{name}"), "verify": {"github": secret_refs()}, "allowFrom": [range]});
    manifest["spec"]["sources"] = json!([source("near", "127.0.0.0/8"), source("far", "192.0.2.0/24")]);
    let relay = start(&manifest).await;
    let signed = sign("github", b"{}").with("x-forwarded-for", "192.0.2.1");
    let status = async |path: &str| {
        signed.send(&relay.client(), &format!("{}{path}", relay.url())).await.status().as_u16()
    };
    assert_eq!((status("near").await, status("far").await), (200, 401));
    let expected = "visnyk_unverified_requests_total{source=\"far\",reason=\"address\"} 1";
    assert_eq!(metric(&relay, "visnyk_unverified_requests").await, [expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_the_address_is_the_one_that_it_heard_from() {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    manifest["spec"]["listener"]["trustedProxies"] = json!(["127.0.0.0/8", "10.0.0.0/8"]);
    manifest["spec"]["sources"][0]["allowFrom"] = json!(["192.0.2.0/24"]);
    let relay = start(&manifest).await;
    let client = relay.client();
    for (heard, status) in [
        ("192.0.2.1", 200),
        ("198.51.100.7, 192.0.2.1, 10.1.2.3", 200),
        ("192.0.2.1, 198.51.100.7", 401),
        ("192.0.2.1, nobody", 401),
        ("10.1.2.3", 401),
    ] {
        let request = client.post(relay.url()).header("x-forwarded-for", heard).body("{}");
        assert_eq!(request.send().await.unwrap().status(), status, "{heard}");
    }
    assert_eq!(client.post(relay.url()).body("{}").send().await.unwrap().status(), 401, "the proxy itself");
    sink.took_events(2).await;
}
