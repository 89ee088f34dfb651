//! Children that a user deletes or edits: the operator restores them without a question.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};
use visnyk_cluster_harness::{wait_until, with_temp_ns, within};
use visnyk_crds::WebhookRelay;
use visnyk_e2e::stage::{RELAY, Stage, is_ready, relay, uids};
use visnyk_e2e::traffic::Traffic;

/// Time within which a deleted or edited object is restored.
const RESTORED: Duration = Duration::from_secs(5);

#[tokio::test]
async fn deleted_and_edited_children_are_restored_and_the_pods_stay() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(1)).await;
        let before = uids(&stage.relay_pods().await);
        for (kind, names) in children(&stage).await {
            for name in names {
                deleted_is_restored(&stage, &kind, &name).await;
            }
        }
        edited_is_restored::<Service>(
            &stage,
            "front-relay",
            json!({"spec": {"selector": {"app.kubernetes.io/instance": "another"}}}),
        )
        .await;
        edited_is_restored::<ConfigMap>(
            &stage,
            "front-relay",
            json!({"data": {"manifest.yaml": "nonsense"}}),
        )
        .await;
        edited_is_restored::<StatefulSet>(&stage, "front-relay", json!({"spec": {"replicas": 0}})).await;
        stage.ready().await;
        assert_eq!(uids(&stage.relay_pods().await).len(), before.len());
        let traffic = Traffic::start(&client, &namespace, RELAY).await;
        let ledger = traffic.end().await;
        stage.assert_arrived(&ledger).await;
    })
    .await;
}

#[tokio::test]
async fn deleted_workloads_are_restored_in_five_seconds_and_lose_nothing() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(1)).await;
        let before = stage.relay_pods().await.remove(0);
        let traffic = Traffic::start(&client, &namespace, RELAY).await;
        deleted_is_restored(&stage, &ApiResource::erase::<StatefulSet>(&()), "front-relay").await;
        let replaced = |pod: Option<&Pod>| pod.is_some_and(|pod| pod.uid() != before.uid() && is_ready(pod));
        wait_until(&stage.api::<Pod>(), &before.name_any(), replaced).await;
        traffic.goes_on(20).await;
        let ledger = traffic.end().await;
        stage.assert_arrived(&ledger).await;

        let mut fleet = relay(1);
        fleet["spool"] = json!({"ephemeral": {}});
        stage.apply::<WebhookRelay>("fleet", fleet).await.unwrap();
        stage.condition::<WebhookRelay>("fleet", "Ready", "True").await;
        deleted_is_restored(&stage, &ApiResource::erase::<Deployment>(&()), "fleet-relay").await;
        Traffic::start(&client, &namespace, "fleet").await.end().await;
    })
    .await;
}

/// Returns the relay's Secrets, Services and `ConfigMap`s.
async fn children(stage: &Stage) -> Vec<(ApiResource, Vec<String>)> {
    let mut found = Vec::new();
    for kind in [
        ApiResource::erase::<Secret>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<ConfigMap>(&()),
    ] {
        let labels = "app.kubernetes.io/managed-by=visnyk-operator,app.kubernetes.io/name=visnyk-relay";
        let list = stage.objects(&kind).list(&ListParams::default().labels(labels)).await.unwrap();
        let names: Vec<String> = list.iter().map(ResourceExt::name_any).collect();
        assert!(!names.is_empty(), "the relay has no {}", kind.kind);
        found.push((kind, names));
    }
    found
}

async fn deleted_is_restored(stage: &Stage, kind: &ApiResource, name: &str) {
    let objects = stage.objects(kind);
    let before = objects.get(name).await.unwrap();
    objects.delete(name, &DeleteParams::default()).await.unwrap();
    let uid = || async { objects.get_opt(name).await.unwrap().and_then(|now| now.uid()) };
    let is_another = |now: &Option<String>| now.is_some() && *now != before.uid();
    within(RESTORED, &format!("{} {name} is restored", kind.kind), uid, is_another).await;
}

/// Edits an object, and waits until the state before is restored: fields that a controller fills in may differ.
async fn edited_is_restored<K: Resource<DynamicType = ()>>(stage: &Stage, name: &str, edit: Value) {
    let objects = stage.objects(&ApiResource::erase::<K>(&()));
    let wish = |object: &DynamicObject| {
        let pointer = ["/spec/selector/app.kubernetes.io~1instance", "/spec/replicas", "/data/manifest.yaml"];
        pointer.map(|pointer| object.data.pointer(pointer).cloned())
    };
    let before = wish(&objects.get(name).await.unwrap());
    objects.patch(name, &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
    let now = || async { wish(&objects.get(name).await.unwrap()) };
    within(RESTORED, &format!("{} {name} is restored", K::kind(&())), now, |now| *now == before).await;
}
