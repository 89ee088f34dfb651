//! What becomes of a spec, valid or not.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use tokio::time::Instant;
use visnyk_cluster_harness::wait_until;
use visnyk_crds::WebhookRelay;

use crate::world::in_world;

/// What no schema and no rule can refuse: only the code that the pods run knows it.
fn invalid() -> serde_json::Value {
    json!({ "spec": { "destinations": [{ "name": "pilot", "url": "https://pilot.example.org:99999/" }] } })
}

#[tokio::test]
async fn invalid_spec_changes_no_config_map_and_the_last_good_one_lives_on() {
    in_world(async |mut world| {
        world.start().await;
        world.create_relay("harbour", &json!({})).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let maps = world.api::<ConfigMap>();
        let good = maps.get("harbour-relay").await.unwrap();

        world.change::<WebhookRelay>("harbour", &invalid()).await;
        let said = world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "Invalid").await;
        let accepted = said.conditions.iter().find(|condition| condition.type_ == "Accepted").unwrap();
        assert!(accepted.message.starts_with("spec.destinations[0].url: "), "{}", accepted.message);
        assert_eq!(maps.get("harbour-relay").await.unwrap(), good);

        // Deleted and scaled, it comes back as it was last good.
        let sets = world.api::<StatefulSet>();
        world.change::<WebhookRelay>("harbour", &json!({ "spec": { "replicas": 2 } })).await;
        let scaled = |set: Option<&StatefulSet>| set.is_some_and(|set| set.spec.replicas == Some(2));
        let old = wait_until(&sets, "harbour-relay", scaled).await.unwrap();
        sets.delete("harbour-relay", &DeleteParams::default()).await.unwrap();
        wait_until(&sets, "harbour-relay", |set| {
            scaled(set) && set.is_some_and(|set| set.metadata.uid != old.metadata.uid)
        })
        .await;
        let manifest = maps.get("harbour-relay").await.unwrap().data.unwrap()["manifest.yaml"].clone();
        assert!(manifest.contains("url: https://pilot.example.org/hook"), "{manifest}");
    })
    .await;
}

#[tokio::test]
async fn relay_that_was_never_valid_gets_no_children() {
    in_world(async |mut world| {
        world.start().await;
        world.create_relay("harbour", &invalid()["spec"]).await;
        let said = world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "Invalid").await;
        assert_eq!((said.url, said.replicas), (None, Some(0)));
        assert_eq!(world.children().await, Vec::<String>::new());
        let url =
            json!({ "spec": { "destinations": [{ "name": "pilot", "url": "https://pilot.example.org/" }] } });
        world.change::<WebhookRelay>("harbour", &url).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        assert_eq!(world.children().await.len(), 8);
    })
    .await;
}

#[tokio::test]
async fn paused_resource_is_left_alone_until_it_is_not() {
    in_world(async |mut world| {
        world.start().await;
        world.create_relay("harbour", &json!({})).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let paused = |value: serde_json::Value| json!({ "metadata": { "annotations": { "visnyk.dev/paused": value } } });
        // Controllers that begin have seen the annotation before they see what is missing; to running ones the two
        // come by different watches, in any order.
        world.stop().await;
        world.change::<WebhookRelay>("harbour", &paused(json!("true"))).await;
        world.api::<Service>().delete("harbour-relay", &DeleteParams::default()).await.unwrap();
        world.start().await;
        world.change::<WebhookRelay>("harbour", &json!({ "spec": { "replicas": 2 } })).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(world.children().await.len(), 7);
        let set = world.api::<StatefulSet>().get("harbour-relay").await.unwrap();
        assert_eq!(set.spec.replicas, Some(1));

        world.change::<WebhookRelay>("harbour", &paused(json!(null))).await;
        let begun = Instant::now();
        while world.children().await.len() != 8 {
            assert!(begun.elapsed() < Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn replicas_are_set_by_the_scale_subresource() {
    in_world(async |mut world| {
        world.start().await;
        world.create_relay("harbour", &json!({})).await;
        let said = world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let selector = "app.kubernetes.io/name=visnyk-relay,app.kubernetes.io/instance=harbour";
        assert_eq!(said.selector.as_deref(), Some(selector));
        let relays = world.api::<WebhookRelay>();
        let patch = json!({ "spec": { "replicas": 3 } });
        let scale =
            relays.patch_scale("harbour", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        assert_eq!(scale.status.unwrap().selector.as_deref(), Some(selector));
        let scaled = |set: Option<&StatefulSet>| set.is_some_and(|set| set.spec.replicas == Some(3));
        wait_until(&world.api::<StatefulSet>(), "harbour-relay", scaled).await;
    })
    .await;
}

#[tokio::test]
async fn template_that_the_api_server_refuses_is_a_condition() {
    in_world(async |mut world| {
        world.start().await;
        let tolerations = json!([{ "key": "spot", "operator": "Sometimes" }]);
        world.create_relay("harbour", &json!({ "pod": { "tolerations": tolerations } })).await;
        let said = world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "False", "Refused").await;
        let accepted = said.conditions.iter().find(|condition| condition.type_ == "Accepted").unwrap();
        assert!(accepted.message.contains("tolerations[0].operator"), "{}", accepted.message);
    })
    .await;
}
