//! Pods that refuse events for lack of room: the Service leads to them while no other pod is ready, and only then.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use visnyk_cluster_harness::wait_until;
use visnyk_crds::WebhookRelay;
use visnyk_crds::contract::HEALTH_PORT;
use visnyk_runtime::admin::health::{Health, HealthEndpoints};

use crate::world::{World, in_world, message};

/// A process whose spool is full or not.
struct Spool {
    is_full: Arc<AtomicBool>,
}

const FULL: &str = "full: its oldest undelivered event is for destination \"pilot\"";

impl HealthEndpoints for Spool {
    fn live(&self) -> Vec<String> {
        Vec::new()
    }

    fn ready(&self) -> Vec<String> {
        let waits = if self.is_full.load(Ordering::Relaxed) { FULL } else { "not open yet" };
        vec![format!("journal: {waits}")]
    }

    fn started(&self) -> Vec<String> {
        Vec::new()
    }

    fn metrics(&self) -> String {
        String::new()
    }

    fn status(&self) -> Value {
        json!({ "storageProblem": self.is_full.load(Ordering::Relaxed).then_some(FULL) })
    }
}

#[tokio::test]
async fn service_leads_to_a_full_pod_only_while_no_other_is_ready() {
    in_world(async |mut world| {
        let [a, b, c]: [u8; 3] = rand::random();
        let address = Ipv4Addr::new(127, a.max(1), b, c.max(1));
        let is_full = Arc::new(AtomicBool::new(false));
        let _health =
            Health::start((address, HEALTH_PORT).into(), Spool { is_full: Arc::clone(&is_full) }).unwrap();
        world.start().await;
        world.create_relay("harbour", &json!({ "replicas": 2 })).await;
        for pod in ["harbour-relay-0", "harbour-relay-1"] {
            wait_until(&world.api::<Pod>(), pod, |pod| pod.is_some()).await;
        }
        say(&world, "harbour-relay-0", "False", address).await;
        let waits = "0 of 2 pods are ready; pod harbour-relay-0: journal: not open yet";
        until_available_says(&world, waits).await;
        assert!(!leads_to_unready(&world).await, "a pod that starts answers nobody");

        is_full.store(true, Ordering::Relaxed);
        say(&world, "harbour-relay-0", "False", address).await;
        until_available_says(&world, &format!("0 of 2 pods are ready; pod harbour-relay-0: journal: {FULL}"))
            .await;
        assert!(leads_to_unready(&world).await);

        say(&world, "harbour-relay-1", "True", Ipv4Addr::new(127, 0, 0, 9)).await;
        until_available_says(&world, &format!("1 of 2 pods are ready; pod harbour-relay-0: journal: {FULL}"))
            .await;
        assert!(!leads_to_unready(&world).await, "the other pod has room");
    })
    .await;
}

/// Says of a pod what its kubelet would, and something new each time, so that it is heard of.
async fn say(world: &World, pod: &str, is_ready: &str, address: Ipv4Addr) {
    let now = jiff::Timestamp::now();
    let condition =
        json!({ "type": "Ready", "status": is_ready, "lastTransitionTime": now, "message": now.to_string() });
    let status = json!({ "status": {
        "podIP": address, "podIPs": [{ "ip": address }], "conditions": [condition],
    } });
    let pods: Api<Pod> = world.api();
    pods.patch_status(pod, &PatchParams::default(), &Patch::Strategic(&status)).await.unwrap();
}

async fn until_available_says(world: &World, expected: &str) {
    let says = |relay: &WebhookRelay| {
        relay.status.as_ref().is_some_and(|said| message(said, "Available") == expected)
    };
    wait_until(&world.api::<WebhookRelay>(), "harbour", |relay| relay.is_some_and(says)).await;
}

async fn leads_to_unready(world: &World) -> bool {
    let service = world.api::<Service>().get("harbour-relay").await.unwrap();
    service.spec.unwrap().publish_not_ready_addresses == Some(true)
}
