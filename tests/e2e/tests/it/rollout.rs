//! Changes that replace the pods: with two replicas no request is refused, with one there is a gap, and nothing is
//! lost either way.

use std::time::Duration;

use serde_json::{Value, json};
use visnyk_cluster_harness::{image, with_temp_ns};
use visnyk_crds::WebhookRelay;
use visnyk_e2e::stage::{RELAY, Stage, relay};
use visnyk_e2e::traffic::{Ledger, Traffic};

/// Rolls all pods under traffic by changing something that a running pod cannot follow.
pub async fn roll(stage: &Stage, changed: Value) -> Ledger {
    let before = stage.relay_pods().await;
    let traffic = Traffic::start(&stage.client, &stage.namespace, RELAY).await;
    stage.apply::<WebhookRelay>(RELAY, changed).await.unwrap();
    stage.fresh_relay_pods(&before, before.len()).await;
    traffic.goes_on(40).await;
    let ledger = traffic.end().await;
    stage.assert_arrived(&ledger).await;
    ledger
}

#[tokio::test]
async fn changed_image_of_two_replicas_refuses_nobody() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(2)).await;
        let mut changed = relay(2);
        changed["pod"] = json!({ "image": image("visnyk-relay-again") });
        let ledger = roll(&stage, changed).await;
        eprintln!(
            "rollout of two: {} accepted, longest gap {:?}",
            ledger.accepted.len(),
            ledger.longest_gap()
        );
        assert!(ledger.refused.is_empty(), "{:?}", ledger.refused);
    })
    .await;
}

#[tokio::test]
async fn changed_port_of_two_replicas_refuses_nobody() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(2)).await;
        let mut changed = relay(2);
        changed["listener"]["port"] = json!(9000);
        let ledger = roll(&stage, changed).await;
        assert!(ledger.refused.is_empty(), "{:?}", ledger.refused);
    })
    .await;
}

#[tokio::test]
async fn rollout_of_one_replica_loses_nothing_and_its_gap_is_bounded() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(1)).await;
        let mut changed = relay(1);
        changed["pod"] = json!({"annotations": {"example.org/reason": "roll"}});
        let ledger = roll(&stage, changed).await;
        let (gap, refused) = (ledger.longest_gap(), ledger.refused.len());
        eprintln!(
            "rollout of one: {} accepted, {refused} refused, longest gap {gap:?}",
            ledger.accepted.len()
        );
        assert!(gap < Duration::from_secs(40), "{gap:?}");
    })
    .await;
}
