//! An autoscaler of the resource: it alone sets replicas.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::Api;
use serde_json::json;
use visnyk_cluster_harness::{wait_until, with_temp_ns};
use visnyk_crds::WebhookRelay;
use visnyk_e2e::stage::{RELAY, Stage, relay};
use visnyk_e2e::traffic::Traffic;

#[tokio::test]
async fn busy_relay_is_scaled_by_its_autoscaler_and_loses_nothing() {
    with_temp_ns(async |client, namespace| {
        let mut spec = relay(1);
        spec.as_object_mut().unwrap().remove("replicas");
        // Whoever does anything at all is too busy for that.
        spec["autoscaling"] = json!({"minReplicas": 1, "maxReplicas": 2, "cpuUtilization": 1});
        let stage = Stage::set(&client, &namespace, spec).await;
        let first = stage.relay_pods().await;
        assert_eq!(first.len(), 1);
        let traffic = Traffic::start(&client, &namespace, RELAY).await;

        let relays: Api<WebhookRelay> = stage.api();
        wait_until(&relays, RELAY, |relay| relay.is_some_and(|relay| relay.spec.replicas == 2)).await;
        stage.condition::<WebhookRelay>(RELAY, "Programmed", "True").await;
        let pods = stage.relay_pods().await;
        assert_eq!((pods.len(), pods[0].metadata.uid.as_ref()), (2, first[0].metadata.uid.as_ref()));
        let scalers: Api<HorizontalPodAutoscaler> = stage.api();
        let scaled = |scaler: Option<&HorizontalPodAutoscaler>| {
            let status = scaler.and_then(|scaler| scaler.status.as_ref());
            status.is_some_and(|status| (status.current_replicas, status.desired_replicas) == (Some(2), 2))
        };
        wait_until(&scalers, "front-relay", scaled).await;
        let ledger = traffic.end().await;
        stage.assert_arrived(&ledger).await;
    })
    .await;
}
