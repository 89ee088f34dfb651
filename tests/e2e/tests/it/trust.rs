//! Trust between relays and Collectors: a lost authority is replaced and published, a Collector of another namespace
//! admits the relays that it lists, a Service that leads away is not followed.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use visnyk_cluster_harness::{eventually, wait_until, with_temp_ns};
use visnyk_crds::{Collector, WebhookRelay};
use visnyk_e2e::stage::{COLLECTOR, RELAY, Stage, be_patient, collector, relay};
use visnyk_e2e::traffic::{Traffic, collected};

#[tokio::test]
async fn lost_authority_is_replaced_with_a_warning_and_peers_follow() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage { client: client.clone(), namespace: namespace.clone() };
        let mut store = collector();
        store["listener"] = json!({"tls": {"selfSigned": {}}});
        store["access"] = json!({});
        let mut front = relay(1);
        front["listener"] = json!({"tls": {"selfSigned": {}}});
        front["destinations"] = json!([{"name": "archive", "collectorRef": {"name": COLLECTOR}}]);
        be_patient(&mut front);
        stage.apply::<Collector>(COLLECTOR, store).await.unwrap();
        stage.apply::<WebhookRelay>(RELAY, front).await.unwrap();
        stage.ready().await;
        let before = Traffic::start(&client, &namespace, RELAY).await.end().await;
        stage.assert_arrived(&before).await;

        for name in ["front-relay-ca", "store-collector-ca"] {
            let authority = published(&stage, name, |_| true).await;
            stage.api::<Secret>().delete(name, &DeleteParams::default()).await.unwrap();
            published(&stage, name, |now| now != authority).await;
        }
        let both = BTreeSet::from(["Collector", "WebhookRelay"].map(str::to_owned));
        eventually("users are warned", || warned(&stage), |warned| *warned == both).await;

        // A sender who has fetched the new one gets in, and what it sends gets through.
        let traffic = Traffic::start(&client, &namespace, RELAY).await;
        traffic.goes_on(before.accepted.len() + 20).await;
        let ledger = traffic.end().await;
        stage.assert_arrived(&ledger).await;
    })
    .await;
}

#[tokio::test]
async fn relay_delivers_to_another_namespaces_collector_once_allowed() {
    with_temp_ns(async |_, theirs| {
        with_temp_ns(async move |client, namespace| delivers_there(client, namespace, theirs).await).await;
    })
    .await;
}

async fn delivers_there(client: Client, namespace: String, theirs: String) {
    let there = Stage { client: client.clone(), namespace: theirs };
    let stage = Stage { client: client.clone(), namespace };
    let mut store = collector();
    store["listener"] = json!({"tls": {"selfSigned": {}}});
    store["access"] = json!({"namespaces": ["elsewhere"]});
    let mut front = relay(1);
    let archive = json!({"name": COLLECTOR, "namespace": there.namespace});
    front["destinations"] = json!([{"name": "archive", "collectorRef": archive}]);
    be_patient(&mut front);
    there.apply::<Collector>(COLLECTOR, store.clone()).await.unwrap();
    there.condition::<Collector>(COLLECTOR, "Ready", "True").await;
    stage.apply::<WebhookRelay>(RELAY, front).await.unwrap();
    stage.condition::<WebhookRelay>(RELAY, "Available", "True").await;
    let programmed = stage.condition::<WebhookRelay>(RELAY, "Programmed", "False").await;
    assert_eq!(programmed.reason, "CollectorUnusable");
    let before = Traffic::start(&client, &stage.namespace, RELAY).await.end().await;
    let arrived = collected(&there.namespace, &there.collector_pod().await).await;
    assert_eq!(arrived, BTreeSet::new(), "it is not let in");

    store["access"] = json!({"namespaces": [stage.namespace]});
    there.apply::<Collector>(COLLECTOR, store).await.unwrap();
    there.assert_arrived(&before).await;
    stage.condition::<WebhookRelay>(RELAY, "Ready", "True").await;
}

/// Returns the kinds of the resources with an Event about a lost authority.
async fn warned(stage: &Stage) -> BTreeSet<String> {
    let events = stage.api::<Event>().list(&ListParams::default()).await.unwrap().into_iter();
    let lost = events.filter(|event| event.reason.as_deref() == Some("AuthorityLost"));
    lost.filter_map(|event| event.regarding?.kind).collect()
}

/// Waits for a published authority for which this is true, and returns it.
async fn published(stage: &Stage, name: &str, so: impl Fn(&str) -> bool) -> String {
    let authority = |map: &ConfigMap| map.data.as_ref().and_then(|data| data.get("ca.crt")).cloned();
    let is_so = |map: Option<&ConfigMap>| map.and_then(authority).is_some_and(|pem| so(&pem));
    let map = wait_until(&stage.api::<ConfigMap>(), name, is_so).await;
    map.as_ref().and_then(authority).unwrap()
}

#[tokio::test]
async fn service_that_turns_into_an_external_name_is_refused_and_not_followed() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage { client: client.clone(), namespace: namespace.clone() };
        stage.apply::<Collector>("trap", collector()).await.unwrap();
        target(&stage).await;
        let mut front = relay(1);
        front["destinations"][0]["service"]["name"] = json!("target");
        be_patient(&mut front);
        stage.apply::<Collector>(COLLECTOR, collector()).await.unwrap();
        stage.apply::<WebhookRelay>(RELAY, front).await.unwrap();
        stage.condition::<Collector>("trap", "Ready", "True").await;
        stage.ready().await;
        let traffic = Traffic::start(&client, &namespace, RELAY).await;
        stage.assert_arrived(&traffic.ledger()).await;

        let elsewhere = format!("trap-collector.{namespace}.svc.cluster.local");
        turn(
            &stage,
            json!({"type": "ExternalName", "externalName": elsewhere, "clusterIP": null, "clusterIPs": null}),
        )
        .await;
        let refused = stage.condition::<WebhookRelay>(RELAY, "Programmed", "False").await;
        assert_eq!(refused.reason, "ServiceUnusable");
        traffic.goes_on(100).await;

        turn(&stage, json!({"type": "ClusterIP", "externalName": null})).await;
        stage.ready().await;
        let ledger = traffic.end().await;
        stage.assert_arrived(&ledger).await;
        let trap = stage.pod_of_collector("trap").await;
        assert_eq!(collected(&namespace, &trap).await, BTreeSet::new());
    })
    .await;
}

/// Creates a Service of the user's own in front of the collector.
async fn target(stage: &Stage) {
    let spec = json!({
        "selector": {"app.kubernetes.io/name": "visnyk-collector", "app.kubernetes.io/instance": COLLECTOR},
        "ports": [{"port": 80, "targetPort": 8080}],
    });
    let service = Service {
        metadata: ObjectMeta { name: Some("target".to_owned()), ..ObjectMeta::default() },
        spec: serde_json::from_value(spec).unwrap(),
        status: None,
    };
    stage.api::<Service>().create(&PostParams::default(), &service).await.unwrap();
}

async fn turn(stage: &Stage, spec: serde_json::Value) {
    let change = Patch::Merge(json!({ "spec": spec }));
    stage.api::<Service>().patch("target", &PatchParams::default(), &change).await.unwrap();
}
