//! Manifests over versions: the ConfigMap has what the user wrote, and a default that was once stored in a resource means the
//! same as one that is not.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DynamicObject, PostParams};
use kube::core::ApiResource;
use serde_json::{Value, json};
use visnyk_crds::manifest::load_relay;
use visnyk_crds::{Collector, WebhookRelay};

use crate::world::{World, collector, in_world, relay};

/// Creates a resource as it is written, and returns it as the API server stored it.
async fn create(world: &World, resource: &ApiResource, written: Value) -> DynamicObject {
    let api: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &world.namespace, resource);
    let object = serde_json::from_value(written).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap()
}

/// Returns the manifest in a ConfigMap, as text and as what it says.
async fn manifest(world: &World, name: &str) -> (String, Value) {
    let map = world.api::<ConfigMap>().get(name).await.unwrap();
    let text = map.data.unwrap()["manifest.yaml"].clone();
    let value = serde_yaml::from_str(&text).unwrap();
    (text, value)
}

#[tokio::test]
async fn config_map_has_the_spec_as_the_user_wrote_it() {
    in_world(async |mut world| {
        world.start().await;
        let relays = ApiResource::erase::<WebhookRelay>(&());
        let written =
            relay("harbour", &json!({ "service": { "externalTrafficPolicy": "Local", "type": "NodePort" } }));
        let stored = create(&world, &relays, written.clone()).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let (_, manifest_of_relay) = manifest(&world, "harbour-relay").await;
        let mut expected = written["spec"].clone();
        // Of all defaults an API server stores these alone: see STORED_DEFAULTS.
        expected["replicas"] = json!(1);
        expected["listener"]["port"] = json!(8443);
        assert_eq!(stored.data["spec"], expected);
        assert_eq!(manifest_of_relay["spec"], expected);

        let collectors = ApiResource::erase::<Collector>(&());
        let written = collector("logbook", &json!({}));
        create(&world, &collectors, written.clone()).await;
        world.wait_for_condition::<Collector>("logbook", "Accepted", "True", "Valid").await;
        let (_, manifest_of_collector) = manifest(&world, "logbook-collector").await;
        let mut expected = written["spec"].clone();
        expected["storage"] = json!({ "persistent": { "size": "8Gi" } });
        expected["listener"]["port"] = json!(8080);
        assert_eq!(manifest_of_collector["spec"], expected);
    })
    .await;
}

/// An earlier definition had every default, and an API server stored them.
#[tokio::test]
async fn relay_with_every_default_stored_in_it_has_the_same_hash() {
    in_world(async |mut world| {
        world.start().await;
        let relays = ApiResource::erase::<WebhookRelay>(&());
        create(&world, &relays, relay("plain", &json!({}))).await;
        let filled = world.create_relay("filled", &json!({})).await;
        assert_eq!(filled.spec.destinations[0].concurrency, 64);
        let mut hashes = Vec::new();
        for name in ["plain", "filled"] {
            world.wait_for_condition::<WebhookRelay>(name, "Accepted", "True", "Valid").await;
            let (text, written) = manifest(&world, &format!("{name}-relay")).await;
            let hash = written["metadata"]["annotations"]["visnyk.dev/configuration-hash"].clone();
            // What a pod computes itself, of a version with the same defaults, is what the operator expects.
            let without = text.replace("visnyk.dev/configuration-hash", "example.org/none");
            assert_eq!(load_relay(&without, None).unwrap().identity.configuration_hash, hash);
            hashes.push(hash);
            let has_default = text.contains("concurrency: 64");
            assert_eq!(has_default, name == "filled", "{text}");
        }
        assert_eq!(hashes[0], hashes[1]);
    })
    .await;
}
