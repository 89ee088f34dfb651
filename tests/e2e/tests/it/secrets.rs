//! Secrets of users: one that is referred to for the first time comes with new pods, what lacks in one is said, and what
//! changes in one is taken up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use visnyk_cluster_harness::{eventually, with_temp_ns};
use visnyk_crds::{Collector, WebhookRelay};
use visnyk_e2e::kubectl;
use visnyk_e2e::stage::{COLLECTOR, RELAY, Stage, collector, relay, restarts, uids};
use visnyk_e2e::traffic::{TOKEN, sender};

use crate::rollout::roll;

/// Time within which a changed Secret is active.
const LIVE: Duration = Duration::from_secs(5);

/// Returns a relay whose senders show a token.
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

async fn set_token(stage: &Stage, value: &str) {
    let token = json!({ "stringData": { "token": value } });
    stage.api::<Secret>().patch("door", &PatchParams::default(), &Patch::Merge(token)).await.unwrap();
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
        let stage = Stage { client: client.clone(), namespace: namespace.clone() };
        make_secret(&stage, "tokne", TOKEN).await;
        stage.apply::<Collector>(COLLECTOR, collector()).await.unwrap();
        // A relay that runs would keep the spec before.
        stage.apply::<WebhookRelay>(RELAY, guarded(1)).await.unwrap();
        let says = "jsonpath={.status.conditions[?(@.type==\"Programmed\")].reason}=Waiting";
        let relay = format!("webhookrelay/{RELAY}");
        let wait = ["wait", "--namespace", &namespace, &relay, "--for", says, "--timeout=120s"];
        kubectl::run("kubectl", &wait).await;
        let said = stage.condition::<WebhookRelay>(RELAY, "Programmed", "False").await;
        let expected = "pod front-relay-0: source \"everybody\" accepts no request: secret door/token cannot be read: \
                        No such file or directory (os error 2)";
        assert_eq!(said.message, expected);

        set_token(&stage, TOKEN).await;
        stage.condition::<WebhookRelay>(RELAY, "Programmed", "True").await;
    })
    .await;
}

#[tokio::test]
async fn changed_token_is_live_and_a_revoked_one_dead_in_five_seconds() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage { client: client.clone(), namespace: namespace.clone() };
        make_secret(&stage, "token", "the one before").await;
        stage.apply::<Collector>(COLLECTOR, collector()).await.unwrap();
        stage.apply::<WebhookRelay>(RELAY, guarded(1)).await.unwrap();
        stage.ready().await;
        let before = stage.relay_pods().await;
        let (http, url) = sender(&client, &namespace, RELAY).await;
        let knock =
            async || http.post(&url).body("{}").send().await.map(|answer| answer.status().as_u16()).ok();
        eventually("who shows another token is turned away", knock, |status| *status == Some(401)).await;

        for (token, then) in [(TOKEN, 200), ("the one after", 401)] {
            set_token(&stage, token).await;
            let changed = Instant::now();
            eventually("a changed token is live", knock, |status| *status == Some(then)).await;
            let took = changed.elapsed();
            eprintln!("a changed token was live after {took:?}: {then}");
            assert!(took < LIVE, "{took:?}");
        }
        let after = stage.relay_pods().await;
        assert_eq!((uids(&after), after.iter().map(restarts).sum::<i32>()), (uids(&before), 0));
    })
    .await;
}
