//! A volume without free space: the relay refuses events without a restart, and accepts again once there is space.

use std::fs;
use std::time::Instant;

use k8s_openapi::api::core::v1::{Pod, Service};
use visnyk_cluster_harness::{wait_until, with_temp_ns};
use visnyk_crds::{Collector, WebhookRelay};
use visnyk_e2e::node;
use visnyk_e2e::stage::{COLLECTOR, RELAY, Stage, be_patient, collector, is_ready, relay, restarts};
use visnyk_e2e::traffic::Traffic;

/// Large enough that two segments are full in some seconds.
const PADDING: usize = 32 << 10;

#[tokio::test]
async fn relay_on_a_full_volume_refuses_and_goes_on_once_there_is_room() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage { client: client.clone(), namespace: namespace.clone() };
        let mut spec = relay(1);
        be_patient(&mut spec);
        stage.apply::<WebhookRelay>(RELAY, spec).await.unwrap();
        let pods = stage.api::<Pod>();
        wait_until(&pods, "front-relay-0", |pod| pod.is_some_and(is_ready)).await;
        let traffic = Traffic::start_padded(&client, &namespace, RELAY, PADDING).await;
        let pod = pods.get("front-relay-0").await.unwrap();
        let filler = node::fill_volume(&pod, "visnyk-relay");
        let is_unavailable = |reason: &String| reason.starts_with("503");
        traffic
            .until("a full volume is said", |ledger| {
                ledger.refused.values().any(|(_, reason)| is_unavailable(reason))
            })
            .await;
        // It takes no more, and lives.
        wait_until(&pods, "front-relay-0", |pod| pod.is_some_and(|pod| !is_ready(pod))).await;
        // The Service leads to it nevertheless, as no other pod is ready: senders get an answer.
        wait_until(&stage.api::<Service>(), "front-relay", |one| one.is_some_and(leads_to_unready)).await;
        let published = Instant::now();
        traffic
            .until("senders are answered by a pod that is not ready", |ledger| {
                let last: Vec<_> = ledger.refused.values().rev().take(20).collect();
                last.len() == 20 && last.iter().all(|(at, reason)| *at > published && is_unavailable(reason))
            })
            .await;

        fs::remove_file(filler).unwrap();
        wait_until(&pods, "front-relay-0", |pod| pod.is_some_and(is_ready)).await;
        wait_until(&stage.api::<Service>(), "front-relay", |one| {
            one.is_some_and(|one| !leads_to_unready(one))
        })
        .await;
        traffic.goes_on(20).await;
        let ledger = traffic.end().await;
        stage.apply::<Collector>(COLLECTOR, collector()).await.unwrap();
        stage.assert_arrived(&ledger).await;
        assert_eq!(restarts(&pods.get("front-relay-0").await.unwrap()), 0);
    })
    .await;
}

fn leads_to_unready(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(|spec| spec.publish_not_ready_addresses == Some(true))
}
