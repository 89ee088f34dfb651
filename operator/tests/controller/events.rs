//! Events, as `kubectl describe` shows them: what is a Warning, and what is not.

use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use serde_json::json;
use visnyk_cluster_harness::eventually;
use visnyk_crds::{Collector, WebhookRelay};

use crate::world::{World, in_world};

/// Returns the Warnings about relays and Collectors, as `<name>: <action> <reason>`.
async fn warnings(world: &World) -> Vec<String> {
    let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
    let ours = |event: &Event| event.reporting_controller.as_deref() == Some("visnyk-operator");
    let told = |event: Event| {
        let name = event.regarding.and_then(|object| object.name).unwrap_or_default();
        format!("{name}: {} {}", event.action.unwrap_or_default(), event.reason.unwrap_or_default())
    };
    let warned = events.into_iter().filter(|event| ours(event) && event.type_.as_deref() == Some("Warning"));
    let mut warned: Vec<String> = warned.map(told).collect();
    warned.sort();
    warned
}

#[tokio::test]
async fn start_warns_of_a_missing_secret_and_of_nothing_else() {
    in_world(async |mut world| {
        world.start().await;
        let tls = json!({ "tls": { "selfSigned": {} } });
        let quay = json!([{ "name": "quay", "collectorRef": { "name": "logbook" } }]);
        world.create_collector("logbook", &json!({})).await;
        world.create_relay("harbour", &json!({ "listener": tls, "destinations": quay })).await;
        world.create_relay("skiff", &json!({ "spool": { "ephemeral": {} } })).await;
        world.wait_for_condition::<Collector>("logbook", "Ready", "False", "Spreading").await;
        for name in ["harbour", "skiff"] {
            world.wait_for_condition::<WebhookRelay>(name, "Ready", "False", "Spreading").await;
        }
        let bearer = json!({ "bearer": { "secretRefs": [{ "name": "token", "key": "value" }] } });
        let sources = json!({ "sources": [{ "name": "closed", "path": "/", "verify": bearer }] });
        world.create_relay("wreck", &sources).await;
        let expected = ["wreck: Programmed SecretMissing"];
        eventually("the Warning", async || warnings(&world).await, |told| *told == expected).await;
    })
    .await;
}
