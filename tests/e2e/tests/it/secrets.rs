//! Secrets of users: one that is referred to for the first time comes with new pods, and what lacks in one is said.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use visnyk_cluster_harness::with_temp_ns;
use visnyk_crds::WebhookRelay;
use visnyk_e2e::kubectl;
use visnyk_e2e::stage::{RELAY, Stage, relay};
use visnyk_e2e::traffic::TOKEN;

use crate::rollout::roll;

/// A relay whose senders show a token.
fn guarded(replicas: u32) -> Value {
    let mut spec = relay(replicas);
    let token = json!({"secretRefs": [{"name": "door", "key": "token"}]});
    spec["sources"][0]["verify"] = json!({ "bearer": token });
    spec
}

async fn make_secret(stage: &Stage, key: &str, value: &str) {
    let secret = Secret {
        metadata: ObjectMeta { name: Some("door".into()), ..ObjectMeta::default() },
        string_data: Some(BTreeMap::from([(key.to_owned(), value.to_owned())])),
        ..Secret::default()
    };
    stage.api::<Secret>().create(&PostParams::default(), &secret).await.unwrap();
}

#[tokio::test]
async fn secret_that_two_replicas_are_told_of_refuses_nobody() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(2)).await;
        make_secret(&stage, "token", TOKEN).await;
        let ledger = roll(&stage, guarded(2)).await;
        assert!(ledger.refused.is_empty(), "{:?}", ledger.refused);
        stage.condition::<WebhookRelay>(RELAY, "Programmed", "True").await;
    })
    .await;
}

#[tokio::test]
async fn key_that_a_secret_lacks_is_said_until_it_is_there() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(1)).await;
        make_secret(&stage, "tokne", TOKEN).await;
        stage.apply::<WebhookRelay>(RELAY, guarded(1)).await.unwrap();
        let says = "jsonpath={.status.conditions[?(@.type==\"Programmed\")].reason}=Waiting";
        let relay = format!("webhookrelay/{RELAY}");
        let wait = ["wait", "--namespace", &namespace, &relay, "--for", says, "--timeout=120s"];
        kubectl::run("kubectl", &wait).await;
        let said = stage.condition::<WebhookRelay>(RELAY, "Programmed", "False").await;
        let expected = "front-relay-0, source everybody: secret door/token cannot be read: \
                        No such file or directory (os error 2)";
        assert_eq!(said.message, expected);

        let token = json!({ "stringData": { "token": TOKEN } });
        stage.api::<Secret>().patch("door", &PatchParams::default(), &Patch::Merge(token)).await.unwrap();
        stage.condition::<WebhookRelay>(RELAY, "Programmed", "True").await;
    })
    .await;
}
