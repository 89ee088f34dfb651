//! Children come, come back, and go.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, ResourceQuota, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, DynamicObject, EvictParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;
use tokio::time::Instant;
use visnyk_cluster_harness::wait_until;
use visnyk_crds::{Collector, WebhookRelay};

use crate::snapshot::{Part, Snapshot, snapshot, wait_for};
use crate::world::{World, in_world, message};

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
        world.create_collector("logbook", &json!({})).await;
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

/// Creates two relays, one with volumes and one without.
async fn with_both(world: &mut World) -> Snapshot {
    world.start().await;
    let tls = json!({ "tls": { "selfSigned": {} } });
    world.create_relay("harbour", &json!({ "listener": tls })).await;
    world.create_relay("skiff", &json!({ "listener": tls, "spool": { "ephemeral": {} } })).await;
    for name in ["harbour", "skiff"] {
        world.wait_for_condition::<WebhookRelay>(name, "Available", "False", "NoPodReady").await;
    }
    wait_until(&world.api::<PersistentVolumeClaim>(), "data-harbour-relay-0", |claim| claim.is_some()).await;
    snapshot(world, Part::Children).await
}

/// Less than the minute after which everything is looked at anyway: what is back in it was heard of. On a machine with
/// nothing else to do it is less than a second.
const SOON: Duration = Duration::from_secs(45);

#[tokio::test]
async fn each_deleted_child_is_made_anew_when_that_is_heard_of() {
    in_world(async |mut world| {
        let before = with_both(&mut world).await;
        for object in world.objects().await {
            let kind = object.types.clone().unwrap();
            if !(object.name_any().starts_with("harbour") || kind.kind == "Deployment") {
                continue;
            }
            let gvk = GroupVersionKind::try_from(&kind).unwrap();
            let (resource, _) = kube::discovery::pinned_kind(&world.client, &gvk).await.unwrap();
            let api: Api<DynamicObject> =
                Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
            api.delete(&object.name_any(), &DeleteParams::default()).await.unwrap();
            wait_for(&world, Part::Children, &before, SOON, &format!("{} deleted", kind.kind)).await;
            let found = api.get(&object.name_any()).await.unwrap();
            assert_ne!(found.uid(), object.uid());
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_edited_by_hand_is_restored_when_that_is_heard_of() {
    in_world(async |mut world| {
        let before = with_both(&mut world).await;
        let another = json!({ "metadata": { "labels": {
            "app.kubernetes.io/managed-by": null, "app.kubernetes.io/instance": "another",
        } } });
        let stranger = json!({ "spec": { "selector": { "stranger": "yes" } } });
        let stranger_in =
            |field: &str| json!({ "spec": { field: { "matchLabels": { "stranger": "yes" } } } });
        let pods = json!({ "spec": { "template": { "metadata": { "labels": { "app.kubernetes.io/part-of": "another" } } } } });
        let in_pods = |spec: serde_json::Value| json!({ "spec": { "template": { "spec": spec } } });
        let [map, service, secret] = [resource::<ConfigMap>(), resource::<Service>(), resource::<Secret>()];
        let edits = [
            (&map, "harbour-relay", json!({ "data": { "manifest.yaml": "nonsense" } })),
            (&map, "harbour-relay", json!({ "data": { "stranger.yaml": "nonsense" } })),
            (&map, "harbour-relay-ca", another.clone()),
            (&secret, "harbour-relay-peers", json!({ "data": { "it.stranger.url": "aHR0cDovL3gv" } })),
            (&secret, "skiff-relay-tls", another.clone()),
            (&service, "harbour-relay", another.clone()),
            (
                &service,
                "harbour-relay",
                json!({ "spec": { "selector": { "app.kubernetes.io/name": "another" } } }),
            ),
            (&service, "harbour-relay", stranger.clone()),
            (&service, "skiff-relay-pods", stranger),
            (&resource::<NetworkPolicy>(), "harbour-relay", stranger_in("podSelector")),
            (&resource::<PodDisruptionBudget>(), "harbour-relay", stranger_in("selector")),
            (&resource::<StatefulSet>(), "harbour-relay", another.clone()),
            (&resource::<StatefulSet>(), "harbour-relay", pods.clone()),
            (
                &resource::<StatefulSet>(),
                "harbour-relay",
                json!({ "spec": { "persistentVolumeClaimRetentionPolicy": { "whenDeleted": "Delete" } } }),
            ),
            (&resource::<Deployment>(), "skiff-relay", another),
            (&resource::<Deployment>(), "skiff-relay", json!({ "spec": { "replicas": 5 } })),
            (&resource::<Deployment>(), "skiff-relay", json!({ "spec": { "paused": true } })),
            (
                &resource::<StatefulSet>(),
                "harbour-relay",
                in_pods(json!({ "containers": [{ "name": "stranger", "image": "stranger:1" }] })),
            ),
            (
                &resource::<StatefulSet>(),
                "harbour-relay",
                json!({ "spec": { "updateStrategy": { "rollingUpdate": { "partition": 5 } } } }),
            ),
            (
                &resource::<StatefulSet>(),
                "harbour-relay",
                in_pods(json!({ "containers": [{ "name": "relay", "env": [{ "name": "STRANGER", "value": "x" }] }] })),
            ),
            (
                &resource::<StatefulSet>(),
                "harbour-relay",
                in_pods(json!({ "hostNetwork": true, "initContainers": [{ "name": "first", "image": "stranger:1" }] })),
            ),
        ];
        for (kind, name, edit) in edits {
            let api: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &world.namespace, kind);
            // As `kubectl edit` does: items of lists by their names.
            api.patch(name, &PatchParams::default(), &Patch::Strategic(&edit)).await.unwrap();
            let when = format!("{} {name} edited: {edit}", kind.kind);
            wait_for(&world, Part::Children, &before, SOON, &when).await;
        }
    })
    .await;
}

fn resource<K: Resource<DynamicType = ()>>() -> ApiResource {
    ApiResource::erase::<K>(&())
}

#[tokio::test]
async fn what_others_add_beside_ours_stays() {
    in_world(async |mut world| {
        with_both(&mut world).await;
        let note = json!({ "metadata": { "annotations": { "example.org/note": "mine" } } });
        let services = world.api::<Service>();
        let noted = world.change::<Service>("harbour-relay-pods", &note).await;
        // As `kubectl rollout restart` has it.
        let restarted = json!({ "kubectl.kubernetes.io/restartedAt": "2026-11-26T12:00:00Z" });
        let restart = json!({ "spec": { "template": { "metadata": { "annotations": restarted } } } });
        let asked = world.change::<StatefulSet>("harbour-relay", &restart).await;
        // What comes after it has been seen to have been visited.
        services.delete("harbour-relay", &DeleteParams::default()).await.unwrap();
        wait_until(&services, "harbour-relay", |service| service.is_some()).await;
        assert_eq!(services.get("harbour-relay-pods").await.unwrap(), noted);
        let set = world.api::<StatefulSet>().get("harbour-relay").await.unwrap();
        assert_eq!(set.spec, asked.spec);
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
        let kept = "PersistentVolumeClaim data-harbour-relay-1 (kept until 2 replicas run again)";
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

/// As `kubectl drain` does it.
#[tokio::test]
async fn only_pod_of_a_relay_can_be_evicted_when_it_is_not_ready() {
    in_world(async |mut world| {
        world.start().await;
        world.create_relay("harbour", &json!({})).await;
        let pods = world.api::<Pod>();
        wait_until(&pods, "harbour-relay-0", |pod| pod.is_some()).await;
        // A pod that was never started may be evicted anyway.
        let running = json!({ "status": {
            "phase": "Running", "conditions": [{ "type": "Ready", "status": "False" }],
        } });
        pods.patch_status("harbour-relay-0", &PatchParams::default(), &Patch::Merge(&running)).await.unwrap();
        let is_counted = |budget: Option<&PodDisruptionBudget>| {
            budget
                .and_then(|budget| budget.status.as_ref())
                .is_some_and(|status| status.expected_pods == Some(1))
        };
        wait_until(&world.api::<PodDisruptionBudget>(), "harbour-relay", is_counted).await;
        pods.evict("harbour-relay-0", &EvictParams::default()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn why_no_pod_is_made_is_said_by_available() {
    in_world(async |mut world| {
        let quota = json!({ "metadata": { "name": "none" }, "spec": { "hard": { "pods": "0" } } });
        let quota: ResourceQuota = serde_json::from_value(quota).unwrap();
        world.api::<ResourceQuota>().create(&PostParams::default(), &quota).await.unwrap();
        let is_known = |quota: Option<&ResourceQuota>| {
            quota.and_then(|quota| quota.status.as_ref()).is_some_and(|status| status.hard.is_some())
        };
        wait_until(&world.api::<ResourceQuota>(), "none", is_known).await;
        world.start().await;
        world.create_relay("harbour", &json!({})).await;
        world.create_relay("skiff", &json!({ "spool": { "ephemeral": {} } })).await;
        for name in ["harbour", "skiff"] {
            let said =
                world.wait_for_condition::<WebhookRelay>(name, "Available", "False", "FailedCreate").await;
            let told = message(&said, "Available");
            assert!(told.starts_with("0 of 1 pods are ready; no pod is made: "), "{told}");
            assert!(told.contains("exceeded quota: none"), "{told}");
        }
    })
    .await;
}
