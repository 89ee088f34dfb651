//! What the restart scripts were for, and more: whatever goes away or hangs comes back by itself, and of what was
//! accepted nothing is lost.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Resource, ResourceExt};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::sleep;
use visnyk_cluster_harness::{image, wait_until, with_temp_ns};
use visnyk_e2e::node;
use visnyk_e2e::stage::{RELAY, Stage, is_ready, relay, restarts, uids};
use visnyk_e2e::traffic::{Traffic, assert_collected};

/// What is deleted or edited is restored within this.
const RESTORED: Duration = Duration::from_secs(5);

#[tokio::test]
async fn killed_process_is_started_again_and_loses_nothing() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(1)).await;
        let traffic = Traffic::start(&client, &namespace, RELAY).await;
        let pod = stage.relay_pods().await.remove(0);
        node::signal(&pod, "visnyk-relay", Signal::KILL);
        let back = |pod: Option<&Pod>| pod.is_some_and(|pod| restarts(pod) == 1 && is_ready(pod));
        wait_until(&stage.api::<Pod>(), &pod.name_any(), back).await;
        traffic.goes_on(20).await;
        let ledger = traffic.end().await;
        eprintln!("process killed: longest gap {:?}", ledger.longest_gap());
        assert_collected(&namespace, &stage.collector_pod().await, &ledger).await;
    })
    .await;
}

#[tokio::test]
async fn hung_process_is_restarted_within_the_probes_bound_and_loses_nothing() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(1)).await;
        let traffic = Traffic::start(&client, &namespace, RELAY).await;
        let pod = stage.relay_pods().await.remove(0);
        let hung = Instant::now();
        node::signal(&pod, "visnyk-relay", Signal::STOP);
        let restarted = |pod: Option<&Pod>| pod.is_some_and(|pod| restarts(pod) == 1);
        wait_until(&stage.api::<Pod>(), &pod.name_any(), restarted).await;
        // Three probes in 15 s, each waited for 2 s, and 5 s to go.
        let took = hung.elapsed();
        eprintln!("process hung: restarted after {took:?}");
        assert!(took < Duration::from_secs(40), "{took:?}");
        traffic.goes_on(20).await;
        let ledger = traffic.end().await;
        assert_collected(&namespace, &stage.collector_pod().await, &ledger).await;
    })
    .await;
}

/// The file that names the loop is root's, and the folder the relay's: it can take it away.
#[tokio::test]
async fn process_with_a_hung_loop_is_restarted_within_the_probes_bound_and_loses_nothing() {
    with_temp_ns(async |client, namespace| {
        let mut spec = relay(1);
        spec["pod"] = json!({ "image": image("visnyk-relay-stall") });
        let stage = Stage::set(&client, &namespace, spec).await;
        let traffic = Traffic::start(&client, &namespace, RELAY).await;
        let pod = stage.relay_pods().await.remove(0);
        let hung = Instant::now();
        node::stall(&pod, "visnyk-relay-stall", "dispatcher archive");
        let restarted = |pod: Option<&Pod>| pod.is_some_and(|pod| restarts(pod) == 1);
        wait_until(&stage.api::<Pod>(), &pod.name_any(), restarted).await;
        // A loop may be silent for 30 s; then three probes in 15 s, each waited for 2 s, and 5 s to go.
        let took = hung.elapsed();
        eprintln!("loop hung: restarted after {took:?}");
        assert!(took > Duration::from_secs(30) && took < Duration::from_secs(70), "{took:?}");
        traffic.goes_on(20).await;
        let ledger = traffic.end().await;
        assert_collected(&namespace, &stage.collector_pod().await, &ledger).await;
    })
    .await;
}

#[tokio::test]
async fn deleted_pods_come_back_and_what_the_collector_missed_arrives_afterwards() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(2)).await;
        let traffic = Traffic::start(&client, &namespace, RELAY).await;
        let collector = stage.collector_pod().await;
        let pods = stage.api::<Pod>();
        pods.delete(&collector.name_any(), &DeleteParams::default()).await.unwrap();
        traffic.goes_on(40).await;
        let relay = stage.relay_pods().await.remove(0);
        pods.delete(&relay.name_any(), &DeleteParams::default()).await.unwrap();
        wait_until(&pods, &relay.name_any(), |pod| {
            pod.is_some_and(|pod| pod.uid() != relay.uid() && is_ready(pod))
        })
        .await;
        traffic.goes_on(40).await;
        let ledger = traffic.end().await;
        let back = stage.collector_pod().await;
        assert_ne!(uids(std::slice::from_ref(&back)), uids(&[collector]));
        assert_collected(&namespace, &back, &ledger).await;
    })
    .await;
}

#[tokio::test]
async fn deleted_and_edited_children_are_restored_in_five_seconds_and_the_pods_stay() {
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
        assert_collected(&namespace, &stage.collector_pod().await, &ledger).await;
    })
    .await;
}

/// The relay's Secrets, Services and `ConfigMap`s.
async fn children(stage: &Stage) -> Vec<(ApiResource, Vec<String>)> {
    let mut found = Vec::new();
    for kind in [
        ApiResource::erase::<Secret>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<ConfigMap>(&()),
    ] {
        let labels = "app.kubernetes.io/managed-by=visnyk-operator,app.kubernetes.io/name=visnyk-relay";
        let list = stage.objects(&kind).list(&kube::api::ListParams::default().labels(labels)).await.unwrap();
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
    let began = Instant::now();
    loop {
        if objects.get_opt(name).await.unwrap().is_some_and(|now| now.uid() != before.uid()) {
            return;
        }
        assert!(began.elapsed() < RESTORED, "{} {name} is not restored", kind.kind);
        sleep(Duration::from_millis(50)).await;
    }
}

/// Restored is what covers what was there before: fields that a controller fills in may differ.
async fn edited_is_restored<K: Resource<DynamicType = ()>>(stage: &Stage, name: &str, edit: Value) {
    let objects = stage.objects(&ApiResource::erase::<K>(&()));
    let wish = |object: &DynamicObject| {
        let pointer = ["/spec/selector/app.kubernetes.io~1instance", "/spec/replicas", "/data/manifest.yaml"];
        pointer.map(|pointer| object.data.pointer(pointer).cloned())
    };
    let before = wish(&objects.get(name).await.unwrap());
    objects.patch(name, &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
    let began = Instant::now();
    loop {
        let now = wish(&objects.get(name).await.unwrap());
        if now == before {
            return;
        }
        assert!(began.elapsed() < RESTORED, "{} {name} is not restored: {now:?}", K::kind(&()));
        sleep(Duration::from_millis(50)).await;
    }
}
