//! Objects that a changed spec refers to for the first time: what runs goes on until they are there.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use visnyk_cluster_harness::{DEADLINE, wait_until};
use visnyk_crds::{Collector, WebhookRelay};

use crate::snapshot::{Part, Snapshot, snapshot, wait_for};
use crate::world::{World, in_world, message, relay};

/// Creates a relay that runs, and returns its children.
async fn running_relay(world: &mut World) -> Snapshot {
    world.start().await;
    world.create_relay("harbour", &json!({})).await;
    world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
    let claims = world.api::<PersistentVolumeClaim>();
    wait_until(&claims, "data-harbour-relay-0", |claim| claim.is_some()).await;
    snapshot(world, Part::Children).await
}

/// Waits until the relay is held back by this, and checks that its children are as before.
async fn is_held(world: &World, before: &Snapshot, reason: &str, why: &str) {
    let held = format!("{why}; the pods keep the spec before this until then");
    let relays = world.api::<WebhookRelay>();
    wait_until(&relays, "harbour", |relay| {
        let said = relay.and_then(|relay| relay.status.as_ref());
        let programmed = said.and_then(|said| said.conditions.iter().find(|one| one.type_ == "Programmed"));
        programmed.is_some_and(|one| one.status == "False" && one.reason == reason && one.message == held)
    })
    .await;
    wait_for(world, Part::Children, before, DEADLINE, why).await;
}

/// Waits until the pods are given a manifest with this in it.
async fn is_taken(world: &World, part: &str) {
    let has = |map: Option<&ConfigMap>| {
        map.and_then(|map| map.data.as_ref()).is_some_and(|data| data["manifest.yaml"].contains(part))
    };
    wait_until(&world.api::<ConfigMap>(), "harbour-relay", has).await;
}

/// Changes the destinations to the usual one and this.
async fn add(world: &World, destination: Value) {
    let mut destinations = relay("harbour", &json!({}))["spec"]["destinations"].clone();
    destinations.as_array_mut().unwrap().push(destination);
    world.change::<WebhookRelay>("harbour", &json!({ "spec": { "destinations": destinations } })).await;
}

#[tokio::test]
async fn what_runs_stays_until_a_new_collector_can_be_delivered_to() {
    in_world(async |mut world| {
        let before = running_relay(&mut world).await;
        add(&world, json!({ "name": "quay", "collectorRef": { "name": "logbook" } })).await;
        let logbook = format!("Collector {}/logbook", world.namespace);
        let missing = format!("{logbook} does not exist: create it");
        is_held(&world, &before, "CollectorUnusable", &missing).await;

        world.create_collector("logbook", &json!({ "listener": { "tls": { "none": {} } } })).await;
        let plain = format!("{logbook} speaks plain HTTP, which is refused: give it tls.selfSigned");
        let relays = world.api::<WebhookRelay>();
        wait_until(&relays, "harbour", |relay| {
            let said = relay.and_then(|relay| relay.status.as_ref());
            said.is_some_and(|said| message(said, "Programmed").starts_with(&plain))
        })
        .await;
        let map = world.api::<ConfigMap>().get("harbour-relay").await.unwrap();
        assert!(!map.data.unwrap()["manifest.yaml"].contains("logbook"));

        let issued = json!({ "spec": { "listener": { "tls": { "none": null, "selfSigned": {} } } } });
        world.change::<Collector>("logbook", &issued).await;
        is_taken(&world, "logbook").await;
    })
    .await;
}

#[tokio::test]
async fn what_runs_stays_until_a_new_service_has_the_port() {
    in_world(async |mut world| {
        let before = running_relay(&mut world).await;
        let crane = json!({ "name": "crane", "namespace": world.namespace, "port": 80 });
        add(&world, json!({ "name": "crane", "service": crane })).await;
        let missing = format!("Service {}/crane does not exist: create it", world.namespace);
        is_held(&world, &before, "ServiceUnusable", &missing).await;

        let services = world.api::<Service>();
        let service = json!({ "metadata": { "name": "crane" }, "spec": { "ports": [{ "port": 81 }] } });
        let service = serde_json::from_value(service).unwrap();
        services.create(&PostParams::default(), &service).await.unwrap();
        let port = format!(
            "destination \"crane\": Service {}/crane has no TCP port 80 (it has 81): change service.port",
            world.namespace
        );
        is_held(&world, &before, "ServiceUnusable", &port).await;

        let ports = json!({ "spec": { "ports": [{ "port": 80 }] } });
        services.patch("crane", &PatchParams::default(), &Patch::Merge(&ports)).await.unwrap();
        is_taken(&world, "crane").await;

        // A receiver that was there and is lost holds back no later change.
        services.delete("crane", &DeleteParams::default()).await.unwrap();
        let listener = json!({ "listener": { "maxBodySize": "2Mi" } });
        world.change::<WebhookRelay>("harbour", &json!({ "spec": listener })).await;
        is_taken(&world, "maxBodySize: 2Mi").await;
        let said = world
            .wait_for_condition::<WebhookRelay>("harbour", "Programmed", "False", "ServiceUnusable")
            .await;
        assert_eq!(message(&said, "Programmed"), missing);
    })
    .await;
}

/// Changes the relay to a source with a token in this Secret.
async fn refer_to(world: &World, name: &str) {
    let token = json!({ "bearer": { "secretRefs": [{ "name": name, "key": "token" }] } });
    let sources = json!([{ "name": "open", "path": "/", "verify": token }]);
    world.change::<WebhookRelay>("harbour", &json!({ "spec": { "sources": sources } })).await;
}

/// Returns a Secret of the user's as it is applied.
fn secret(name: &str, content: &Value) -> Value {
    let mut secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name } });
    secret.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    secret
}

/// Takes the record of who wrote which field out of a Secret, as some tools do.
async fn forget_writers(world: &World, name: &str) {
    let no_record = json!({ "metadata": { "managedFields": [{}] } });
    world.api::<Secret>().patch(name, &PatchParams::default(), &Patch::Merge(&no_record)).await.unwrap();
}

#[tokio::test]
async fn key_of_a_secret_is_seen_whichever_way_it_was_written() {
    in_world(async |mut world| {
        running_relay(&mut world).await;
        let secrets = world.api::<Secret>();
        let (text, bytes) = (json!({ "token": "sesame" }), json!({ "token": "c2VzYW1l" }));
        let (text, bytes) = (json!({ "stringData": text }), json!({ "data": bytes }));
        let secret_of = |name: &str, content: &Value| serde_json::from_value(secret(name, content)).unwrap();
        for (way, content) in
            [("created-text", &text), ("created", &bytes), ("added", &json!({})), ("labelled", &text)]
        {
            secrets.create(&PostParams::default(), &secret_of(way, content)).await.unwrap();
        }
        secrets.patch("added", &PatchParams::default(), &Patch::Merge(&text)).await.unwrap();
        for (way, content) in [("applied-text", &text), ("applied", &bytes)] {
            let patch = Patch::Apply(secret(way, content));
            secrets.patch(way, &PatchParams::apply("test"), &patch).await.unwrap();
        }
        forget_writers(&world, "labelled").await;
        let label =
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "labels": { "tide": "high" } } });
        secrets.patch("labelled", &PatchParams::apply("test"), &Patch::Apply(label)).await.unwrap();
        let fields = secrets.get_metadata("labelled").await.unwrap().metadata.managed_fields.unwrap();
        assert!(!fields.is_empty(), "an apply begins the record anew");
        for way in ["created-text", "created", "added", "applied-text", "applied", "labelled"] {
            refer_to(&world, way).await;
            let is_mounted = |set: Option<&StatefulSet>| {
                set.is_some_and(|set| {
                    serde_json::to_string(&set.spec).unwrap().contains(&format!("\"{way}/token\""))
                })
            };
            wait_until(&world.api::<StatefulSet>(), "harbour-relay", is_mounted).await;
        }
    })
    .await;
}

#[tokio::test]
async fn key_that_was_taken_out_of_a_secret_holds_a_spec_back() {
    in_world(async |mut world| {
        let before = running_relay(&mut world).await;
        let secrets = world.api::<Secret>();
        let both = json!({ "data": { "token": "c2VzYW1l", "other": "c2VzYW1l" } });
        let patch = Patch::Apply(secret("front", &both));
        secrets.patch("front", &PatchParams::apply("test"), &patch).await.unwrap();
        let without = json!({ "data": { "token": null } });
        secrets.patch("front", &PatchParams::default(), &Patch::Merge(&without)).await.unwrap();
        refer_to(&world, "front").await;
        is_held(&world, &before, "SecretMissing", "Secret front has no key token: add it").await;

        let with = json!({ "stringData": { "token": "sesame" } });
        secrets.patch("front", &PatchParams::default(), &Patch::Merge(&with)).await.unwrap();
        is_taken(&world, "name: front").await;
    })
    .await;
}

#[tokio::test]
async fn secret_without_a_record_of_its_keys_holds_nothing_back() {
    in_world(async |mut world| {
        running_relay(&mut world).await;
        let secrets = world.api::<Secret>();
        let other =
            serde_json::from_value(secret("front", &json!({ "stringData": { "other": "x" } }))).unwrap();
        secrets.create(&PostParams::default(), &other).await.unwrap();
        forget_writers(&world, "front").await;
        let further = json!({ "stringData": { "further": "x" } });
        secrets.patch("front", &PatchParams::default(), &Patch::Merge(&further)).await.unwrap();
        let fields = secrets.get_metadata("front").await.unwrap().metadata.managed_fields;
        assert_eq!(fields.unwrap_or_default(), [], "a write alone begins no record");
        refer_to(&world, "front").await;
        is_taken(&world, "name: front").await;
    })
    .await;
}
