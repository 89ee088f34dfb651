//! Every delivery proves who sent it, or does not go out.

mod canary;

use std::{fs, time::Duration};

use serde_json::{Value, json};
use visnyk_tests::{
    conservation::assert_conserved,
    files::write_secret,
    manifest::{self, destination, with},
    process::Process,
    relay::{RELAY, Relay},
    sender::Sender,
    sink::{Behaviour, Sink},
};

/// Of RFC 8032 section 7.1, test 3.
const PRIVATE: &str = "whsk_xaqN9D+fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc=";
const PUBLIC: &str = "whpk_/FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU=";

fn refs(key: &str) -> Value {
    json!([{"name": "proof", "key": key}])
}

async fn start(manifest: &Value, secrets: &[(&str, &str)]) -> Relay {
    let folder = tempfile::tempdir().unwrap();
    for (key, text) in secrets {
        write_secret(folder.path(), "proof", key, text);
    }
    let data_dir = folder.path().join("data");
    Relay::start_in(folder, data_dir, manifest).await
}

fn write(relay: &Relay, key: &str, text: &str) {
    write_secret(relay.secrets_dir().parent().unwrap(), "proof", key, text);
}

/// Runs two relays: one signs, over TLS that it trusts by `tls.caRef`; the other verifies, and refuses events that
/// are signed by another secret.
async fn relay_verifies_what_a_relay_signs(sign: Value, verify: Value, right: [&str; 2], wrong: &str) {
    let sink = Sink::start(Behaviour::Ok).await;
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    manifest["spec"]["sources"][0]["verify"] = verify;
    let verifier = start(&manifest, &[("verify", right[1])]).await;

    let fields = json!({"sign": sign, "tls": {"caRef": {"name": "proof", "key": "ca.crt"}}});
    let manifest = manifest::relay([with(destination("verifier", &verifier.url()), fields)]);
    let ca = fs::read_to_string(verifier.data_dir().join("tls/ca.crt")).unwrap();
    let signer = start(&manifest, &[("sign", right[0]), ("ca.crt", &ca)]).await;
    let sender = Sender::to(&signer);
    sender.send(5, 2).await;
    sink.took_events(5).await;

    write(&signer, "sign", wrong);
    let reread = |_: &Value| signer.process.said().contains("destination reconfigured");
    signer.until("verifier", "the other secret", reread).await;
    sender.send_accepted().await;
    let refused = |_: &Value| signer.process.said().contains("answered 401");
    signer.until("verifier", "a refusal", refused).await;
    assert_eq!(sink.ledger().len(), 5);

    write(&signer, "sign", right[0]);
    sink.took_events(6).await;
    signer.until("verifier", "all delivered", |verifier| verifier["delivered"] == 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_relay_signs_by_standard_webhooks_a_relay_verifies() {
    let sign = json!({"standardWebhooks": {"secretRefs": refs("sign")}});
    let verify = json!({"standardWebhooks": {"secretRefs": refs("verify")}});
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    relay_verifies_what_a_relay_signs(sign, verify, [secret, secret], "whsec_b3RoZXI=").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_relay_signs_by_a_private_key_a_relay_verifies_by_the_public_one() {
    let sign = json!({"standardWebhooks": {"secretRefs": refs("sign")}});
    let verify = json!({"standardWebhooks": {"secretRefs": refs("verify")}});
    let other = "whsk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    relay_verifies_what_a_relay_signs(sign, verify, [PRIVATE, PUBLIC], other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_relay_signs_by_hmac_a_relay_verifies_with_the_same_fields() {
    let hmac = |key: &str| {
        json!({"hmac": {
            "secretRefs": refs(key), "header": "X-Sig", "algorithm": "SHA512", "encoding": "Base64",
            "prefix": "v0=", "payload": "v0:{timestamp}:{body}", "timestampHeader": "X-Time",
        }})
    };
    relay_verifies_what_a_relay_signs(hmac("sign"), hmac("verify"), ["s3cret", "s3cret\n"], "other").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_wait_for_a_missing_secret_and_spend_no_attempt_on_it() {
    let sink = Sink::start(Behaviour::Ok).await;
    let fields = json!({
        "sign": {"standardWebhooks": {"secretRefs": refs("sign")}},
        "retry": {"schedule": ["0s"]},
    });
    let manifest = manifest::relay([with(destination("sink", &sink.url()), fields)]);
    let mut relay = start(&manifest, &[]).await;
    let sender = Sender::to(&relay);
    sender.send(5, 1).await;
    let waiting = "secret proof/sign cannot be read: No such file or directory (os error 2)";
    let status = relay.until("sink", "five pending", |sink| sink["pending"] == 5).await;
    assert_eq!(status["waitsFor"], waiting);
    let (_, metrics) = relay.probes.get("/metrics").await.unwrap();
    assert!(metrics.contains("destination_waiting{destination=\"sink\"} 1"), "{metrics}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(sink.arrivals().len(), 0);

    write(&relay, "sign", "whsec_Y2FuYXJ5\n");
    sink.took_events(5).await;
    assert!(sink.arrivals().iter().all(|arrival| arrival.headers.contains_key("webhook-signature")));
    assert_eq!(relay.destination("sink").await["waitsFor"], Value::Null);

    write(&relay, "sign", "\n");
    relay.until("sink", "waiting again", |sink| sink["waitsFor"] == "secret proof/sign is empty").await;
    sender.send_accepted().await;
    relay.until("sink", "one pending", |sink| sink["pending"] == 1).await;
    write(&relay, "sign", "whsec_bmV3");
    assert_conserved(&mut relay, &sender, &[("sink", &sink)]).await;
    assert_eq!(relay.destination("sink").await["deadLettered"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_is_signed_anew_under_the_same_id() {
    let sink = Sink::start(Behaviour::Answer(500, None)).await;
    let fields = json!({
        "sign": {"standardWebhooks": {"secretRefs": refs("sign")}},
        "retry": {"schedule": ["0s", "1200ms", "1200ms"], "jitterPercent": 0},
    });
    let relay = start(
        &manifest::relay([with(destination("sink", &sink.url()), fields)]),
        &[("sign", "whsec_Y2FuYXJ5")],
    )
    .await;
    let id = Sender::to(&relay).send_accepted().await;
    let attempts = sink.attempted(2).await;
    let of = |name: &str| attempts.iter().map(|one| one.headers[name].clone()).collect::<Vec<_>>();
    assert!(of("webhook-id").iter().all(|one| *one == id));
    for fresh in ["webhook-timestamp", "webhook-signature"] {
        assert_ne!(of(fresh)[0], of(fresh)[1], "{fresh}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_status_is_the_end_and_a_success_is_what_is_said_to_be_one() {
    let sink = Sink::start(Behaviour::Answer(422, None)).await;
    let fields = json!({"final": ["400-428", "430-499"], "success": ["200-299", "409"], "method": "PUT"});
    let relay = start(&manifest::relay([with(destination("sink", &sink.url()), fields)]), &[]).await;
    let sender = Sender::to(&relay);
    sender.send_accepted().await;
    relay.until("sink", "a dead letter", |sink| sink["deadLettered"] == 1).await;
    sink.set(Behaviour::Answer(410, None));
    sender.send_accepted().await;
    let status = relay.until("sink", "another", |sink| sink["deadLettered"] == 2).await;
    assert_eq!(status["state"], "Active", "a final 410 is about the event alone");
    assert_eq!(sink.arrivals().len(), 2, "one attempt each");
    sink.set(Behaviour::Answer(409, None));
    sender.send_accepted().await;
    relay.until("sink", "a delivery", |sink| sink["delivered"] == 1).await;
}

#[test]
fn check_names_every_secret_that_a_delivery_would_wait_for() {
    let folder = tempfile::tempdir().unwrap();
    write_secret(folder.path(), "proof", "bad", "whsec_canary!");
    write_secret(folder.path(), "proof", "empty", "\n");
    let fields = json!({
        "sign": {"standardWebhooks": {"secretRefs": refs("bad")}},
        "authorization": {"bearer": {"secretRef": {"name": "proof", "key": "empty"}}},
        "tls": {"clientCertificateRef": {"name": "none"}},
        "headers": [{"name": "X-Key", "secretRef": {"name": "proof", "key": "none"}}],
    });
    let manifest = manifest::relay([with(destination("sink", "https://sink.example.org/"), fields)]);
    let path = folder.path().join("manifest.yaml");
    fs::write(&path, manifest.to_string()).unwrap();
    let secrets = folder.path().join("secrets");
    let args = ["check", "--manifest", path.to_str().unwrap(), "--secrets-dir", secrets.to_str().unwrap()];
    let output = Process::run(RELAY, args);
    assert_eq!(output.status.code(), Some(64));
    let gone = "cannot be read: No such file or directory (os error 2)";
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        [
            "spec.destinations[0]: secret proof/bad is not base64".to_owned(),
            "spec.destinations[0]: secret proof/empty is empty".to_owned(),
            format!("spec.destinations[0]: secret proof/none {gone}"),
            format!("spec.destinations[0]: secret none/tls.crt {gone}"),
            format!("spec.destinations[0]: secret none/tls.key {gone}"),
        ]
    );
}

#[test]
fn the_example_is_valid() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/destinations/proven.yaml");
    let output = Process::run(RELAY, ["check", "--manifest", example]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
