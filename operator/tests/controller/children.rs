//! Children come, come back, and go.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use tokio::time::Instant;
use visnyk_cluster_harness::wait_until;
use visnyk_crds::{Collector, WebhookRelay};

use crate::world::{World, in_world};

const OF_A_RELAY: [&str; 8] = [
    "ConfigMap harbour-relay",
    "NetworkPolicy harbour-relay",
    "PodDisruptionBudget harbour-relay",
    "Secret harbour-relay-peers",
    "Service harbour-relay",
    "Service harbour-relay-pods",
    "ServiceAccount harbour-relay",
    "StatefulSet harbour-relay",
];

#[tokio::test]
async fn both_kinds_get_their_children_and_a_status() {
    in_world(async |mut world| {
        world.start().await;
        world.create_relay("harbour", &json!({})).await;
        world.create_collector("logbook").await;
        let said = world.wait_for_condition::<WebhookRelay>("harbour", "Ready", "False", "Spreading").await;
        assert_eq!(said.url, Some(format!("http://harbour-relay.{}.svc/", world.namespace)));
        let about: Vec<&str> = said.conditions.iter().map(|condition| &condition.type_[..]).collect();
        let every =
            ["Ready", "Accepted", "CertificateReady", "Programmed", "Available", "Durable", "Delivering"];
        assert_eq!(about, every);
        world.wait_for_condition::<Collector>("logbook", "Accepted", "True", "Valid").await;
        let mut expected: Vec<String> = OF_A_RELAY.map(str::to_owned).to_vec();
        expected.extend(
            ["ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount", "StatefulSet"]
                .map(|kind| format!("{kind} logbook-collector")),
        );
        let more = [
            "ConfigMap logbook-collector-ca",
            "Secret logbook-collector-ca",
            "Secret logbook-collector-tls",
            "Service logbook-collector-pods",
        ];
        expected.extend(more.map(str::to_owned));
        expected.sort();
        assert_eq!(world.children().await, expected);
    })
    .await;
}

/// The object without what differs from one life to the next.
fn timeless(object: &DynamicObject) -> Value {
    let mut value = serde_json::to_value(object).unwrap();
    let metadata = value["metadata"].as_object_mut().unwrap();
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
        metadata.remove(field);
    }
    for field in ["clusterIP", "clusterIPs"] {
        value["spec"].as_object_mut().map(|spec| spec.remove(field));
    }
    value.as_object_mut().unwrap().remove("status");
    value
}

#[tokio::test]
async fn each_deleted_child_is_back_within_seconds() {
    in_world(async |mut world| {
        world.start().await;
        world.create_relay("harbour", &json!({})).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let before = world.objects().await;
        for object in &before {
            let (kind, name) = (object.types.clone().unwrap(), object.metadata.name.clone().unwrap());
            let gvk = GroupVersionKind::try_from(&kind).unwrap();
            let (resource, _) = kube::discovery::pinned_kind(&world.client, &gvk).await.unwrap();
            let api: Api<DynamicObject> =
                Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
            let began = Instant::now();
            api.delete(&name, &DeleteParams::default()).await.unwrap();
            let old = object.metadata.uid.clone();
            wait_in(&api, &name, |found| found.is_some_and(|found| found.metadata.uid != old)).await;
            assert!(began.elapsed() < Duration::from_secs(5), "{} {name}: {:?}", kind.kind, began.elapsed());
        }
        let after = world.objects().await;
        let timeless = |objects: &[DynamicObject]| objects.iter().map(timeless).collect::<Vec<_>>();
        assert_eq!(timeless(&after), timeless(&before));
    })
    .await;
}

async fn wait_in(
    api: &Api<DynamicObject>,
    name: &str,
    is_so: impl Fn(Option<&DynamicObject>) -> bool,
) -> DynamicObject {
    let begun = Instant::now();
    loop {
        let found = api.get_opt(name).await.unwrap();
        if is_so(found.as_ref()) {
            return found.unwrap();
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{name} does not come to be so: {found:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_is_edited_by_hand_is_restored_and_what_others_add_stays() {
    in_world(async |mut world| {
        world.start().await;
        world.create_relay("harbour", &json!({})).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let before = world.objects().await;

        world.change::<ConfigMap>("harbour-relay", &json!({ "data": { "manifest.yaml": "nonsense" } })).await;
        world
            .change::<Service>(
                "harbour-relay",
                &json!({
                    "metadata": { "labels": { "app.kubernetes.io/managed-by": null } },
                    "spec": { "selector": { "app.kubernetes.io/name": "another" } },
                }),
            )
            .await;
        world.change::<StatefulSet>("harbour-relay", &json!({ "spec": { "replicas": 5 } })).await;
        let note = json!({ "metadata": { "annotations": { "example.org/note": "mine" } } });
        world.change::<Service>("harbour-relay-pods", &note).await;

        let timeless = |objects: &[DynamicObject]| {
            let mut values: Vec<Value> = objects.iter().map(timeless).collect();
            for value in &mut values {
                value["metadata"]["annotations"].as_object_mut().unwrap().remove("example.org/note");
            }
            values
        };
        let wanted = timeless(&before);
        let begun = Instant::now();
        while timeless(&world.objects().await) != wanted {
            assert!(begun.elapsed() < Duration::from_secs(5), "{:#?}", world.objects().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let noted = world.api::<Service>().get("harbour-relay-pods").await.unwrap();
        assert_eq!(noted.metadata.annotations.unwrap()["example.org/note"], "mine");
    })
    .await;
}

#[tokio::test]
async fn child_that_is_no_longer_wanted_goes() {
    in_world(async |mut world| {
        world.start().await;
        let wanted = json!({
            "autoscaling": { "maxReplicas": 3 }, "ingress": { "hosts": ["harbour.example.org"] },
        });
        world.create_relay("harbour", &wanted).await;
        world.wait_for_condition::<WebhookRelay>("harbour", "Accepted", "True", "Valid").await;
        let children = world.children().await;
        assert!(children.contains(&"HorizontalPodAutoscaler harbour-relay".to_owned()), "{children:?}");
        assert!(children.contains(&"Ingress harbour-relay".to_owned()), "{children:?}");

        let without = json!({ "spec": { "autoscaling": null, "ingress": null } });
        world.change::<WebhookRelay>("harbour", &without).await;
        let begun = Instant::now();
        while world.children().await != OF_A_RELAY {
            assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", world.children().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn children_go_with_their_resource_and_volumes_stay() {
    in_world(async |mut world| {
        world.start().await;
        world.create_relay("harbour", &json!({ "replicas": 2 })).await;
        let claims = world.api::<PersistentVolumeClaim>();
        wait_until(&claims, "data-harbour-relay-1", |claim| claim.is_some()).await;

        world.change::<WebhookRelay>("harbour", &json!({ "spec": { "replicas": 1 } })).await;
        let said =
            world.wait_for_condition::<WebhookRelay>("harbour", "SpoolRetained", "True", "ScaledDown").await;
        let retained = said.conditions.iter().find(|condition| condition.type_ == "SpoolRetained").unwrap();
        let kept = "data-harbour-relay-1 (kept until that many replicas run again)";
        assert_eq!(retained.message, kept);

        world.api::<WebhookRelay>().delete("harbour", &DeleteParams::default()).await.unwrap();
        let begun = Instant::now();
        while !world.children().await.is_empty() {
            assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", world.children().await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(claims.list(&ListParams::default()).await.unwrap().items.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn larger_spool_makes_its_claims_larger_and_leaves_the_pods_alone() {
    in_world(async |mut world| {
        world.start().await;
        let claims = world.api::<PersistentVolumeClaim>();
        // A class whose volumes can grow, if anything made any here.
        let class: k8s_openapi::api::storage::v1::StorageClass = serde_json::from_value(json!({
            "metadata": { "name": world.namespace }, "provisioner": "example.org/none",
            "allowVolumeExpansion": true,
        }))
        .unwrap();
        let classes: Api<k8s_openapi::api::storage::v1::StorageClass> = Api::all(world.client.clone());
        classes.create(&PostParams::default(), &class).await.unwrap();
        let spool = |size: &str| json!({ "spool": { "persistent": { "size": size, "storageClassName": world.namespace } } });
        world.create_relay("harbour", &spool("64Mi")).await;
        wait_until(&claims, "data-harbour-relay-0", |claim| claim.is_some()).await;
        bind(&world, "data-harbour-relay-0").await;
        let sets = world.api::<StatefulSet>();
        let old = sets.get("harbour-relay").await.unwrap().metadata.uid;

        world.change::<WebhookRelay>("harbour", &json!({ "spec": spool("128Mi") })).await;
        let asked = |claim: Option<&PersistentVolumeClaim>| {
            let spec = claim?.spec.as_ref()?;
            Some(spec.resources.as_ref()?.requests.as_ref()?["storage"].0.clone())
        };
        wait_until(&claims, "data-harbour-relay-0", |claim| asked(claim).is_some_and(|size| size == "176Mi")).await;
        let renewed = |set: Option<&StatefulSet>| set.is_some_and(|set| set.metadata.uid != old);
        wait_until(&sets, "harbour-relay", renewed).await;
        classes.delete(&world.namespace, &DeleteParams::default()).await.unwrap();
    })
    .await;
}

/// Says of a claim that it has its volume, as a provisioner would: only then can it grow.
async fn bind(world: &World, name: &str) {
    let claims = world.api::<PersistentVolumeClaim>();
    let patch = json!({ "status": { "phase": "Bound", "capacity": { "storage": "104Mi" } } });
    claims.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
}
