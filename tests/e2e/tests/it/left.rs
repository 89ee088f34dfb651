//! Undelivered events of a relay that is scaled down or deleted, for each `spool.onDelete`, by the sender's ledger
//! and the receiver's log.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Client;
use kube::api::DeleteParams;
use serde_json::Value;
use visnyk_cluster_harness::{wait_until, with_temp_ns};
use visnyk_crds::{Collector, WebhookRelay};
use visnyk_e2e::stage::{COLLECTOR, RELAY, Stage, be_patient, collector, is_ready, relay};
use visnyk_e2e::traffic::{Ledger, Traffic, collected};

/// Returns a relay whose collector is not there yet. It tries for longer than a test takes.
fn spec(replicas: u32, on_delete: &str) -> Value {
    let mut spec = relay(replicas);
    spec["spool"]["onDelete"] = on_delete.into();
    be_patient(&mut spec);
    spec
}

/// Creates a relay that has accepted events that it cannot deliver, in each of its pods.
async fn with_undelivered(
    client: &Client,
    namespace: &str,
    replicas: u32,
    on_delete: &str,
) -> (Stage, Ledger) {
    let stage = Stage { client: client.clone(), namespace: namespace.to_owned() };
    stage.apply::<WebhookRelay>(RELAY, spec(replicas, on_delete)).await.unwrap();
    for ordinal in 0..replicas {
        wait_until(&stage.api::<Pod>(), &format!("front-relay-{ordinal}"), |pod| pod.is_some_and(is_ready))
            .await;
    }
    let traffic = Traffic::start(client, namespace, RELAY).await;
    traffic.goes_on(100).await;
    (stage, traffic.end().await)
}

async fn scale(stage: &Stage, replicas: u32, on_delete: &str) {
    stage.apply::<WebhookRelay>(RELAY, spec(replicas, on_delete)).await.unwrap();
}

async fn delete_relay(stage: &Stage) {
    stage.api::<WebhookRelay>().delete(RELAY, &DeleteParams::background()).await.unwrap();
}

async fn relay_is_gone(stage: &Stage) {
    wait_until(&stage.api::<WebhookRelay>(), RELAY, |relay| relay.is_none()).await;
    wait_until(&stage.api::<Pod>(), "front-relay-0", |pod| pod.is_none()).await;
}

async fn claim_is_gone(stage: &Stage, ordinal: u32) {
    let name = format!("data-front-relay-{ordinal}");
    wait_until(&stage.api::<PersistentVolumeClaim>(), &name, |claim| claim.is_none()).await;
}

async fn job_is_there(stage: &Stage, ordinal: u32) {
    let name = format!("front-relay-drain-{ordinal}");
    wait_until(&stage.api::<Job>(), &name, |job| job.is_some()).await;
}

/// Creates the collector, and waits until it has everything.
async fn everything_arrives(stage: &Stage, ledger: &Ledger) {
    stage.apply::<Collector>(COLLECTOR, collector()).await.unwrap();
    stage.assert_arrived(ledger).await;
}

#[tokio::test]
async fn deleted_relay_that_drains_delivers_everything_before_it_goes() {
    with_temp_ns(async |client, namespace| {
        let (stage, ledger) = with_undelivered(&client, &namespace, 2, "Drain").await;
        delete_relay(&stage).await;
        job_is_there(&stage, 0).await;
        job_is_there(&stage, 1).await;
        everything_arrives(&stage, &ledger).await;
        relay_is_gone(&stage).await;
        claim_is_gone(&stage, 0).await;
        claim_is_gone(&stage, 1).await;
    })
    .await;
}

#[tokio::test]
async fn scaled_down_relay_that_drains_delivers_everything_and_its_volume_goes() {
    with_temp_ns(async |client, namespace| {
        let (stage, ledger) = with_undelivered(&client, &namespace, 2, "Drain").await;
        scale(&stage, 1, "Drain").await;
        job_is_there(&stage, 1).await;
        everything_arrives(&stage, &ledger).await;
        claim_is_gone(&stage, 1).await;
    })
    .await;
}

#[tokio::test]
async fn relay_of_the_same_name_delivers_what_a_deleted_one_left() {
    with_temp_ns(async |client, namespace| {
        let (stage, ledger) = with_undelivered(&client, &namespace, 1, "Retain").await;
        delete_relay(&stage).await;
        relay_is_gone(&stage).await;
        scale(&stage, 1, "Retain").await;
        everything_arrives(&stage, &ledger).await;
    })
    .await;
}

#[tokio::test]
async fn relay_that_is_scaled_up_again_delivers_what_was_left() {
    with_temp_ns(async |client, namespace| {
        let (stage, ledger) = with_undelivered(&client, &namespace, 2, "Retain").await;
        scale(&stage, 1, "Retain").await;
        stage.condition::<WebhookRelay>(RELAY, "SpoolRetained", "True").await;
        wait_until(&stage.api::<Pod>(), "front-relay-1", |pod| pod.is_none()).await;
        scale(&stage, 2, "Retain").await;
        everything_arrives(&stage, &ledger).await;
    })
    .await;
}

/// Shows that exactly those events are lost that the spec gives up.
#[tokio::test]
async fn relay_that_discards_takes_along_what_it_had_and_nothing_of_the_next() {
    with_temp_ns(async |client, namespace| {
        let (stage, before) = with_undelivered(&client, &namespace, 2, "Discard").await;
        scale(&stage, 1, "Discard").await;
        claim_is_gone(&stage, 1).await;
        delete_relay(&stage).await;
        relay_is_gone(&stage).await;
        claim_is_gone(&stage, 0).await;

        scale(&stage, 1, "Discard").await;
        wait_until(&stage.api::<Pod>(), "front-relay-0", |pod| pod.is_some_and(is_ready)).await;
        let after = Traffic::start(&client, &namespace, RELAY).await.end().await;
        everything_arrives(&stage, &after).await;
        // Both count from one, and the earlier relay had got further.
        assert!(before.accepted.len() > 2 * after.accepted.len());
        assert_eq!(collected(&namespace, &stage.collector_pod().await).await, after.accepted);
    })
    .await;
}
