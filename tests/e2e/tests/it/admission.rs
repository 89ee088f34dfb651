//! Changes that the chart's `ValidatingAdmissionPolicy`s allow the operator: of its own pods one annotation, of
//! relays one finalizer.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Config, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use visnyk_cluster_harness::{image, restricted_container, restricted_pod, with_temp_ns};
use visnyk_crds::WebhookRelay;
use visnyk_e2e::chart::ACCOUNT;
use visnyk_e2e::stage::{RELAY, Stage, relay};

#[tokio::test]
async fn operator_can_change_nothing_of_a_pod_but_one_annotation_of_its_own() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(1)).await;
        let own = stage.relay_pods().await.remove(0).name_any();
        let foreign = foreign_pod(&client, &namespace).await;
        let pods: Api<Pod> = Api::namespaced(as_operator().await, &namespace);
        let annotation = |name: &str| json!({"metadata": {"annotations": {name: "now"}}});

        assert_eq!(refusal(&pods, &own, &Patch::Strategic(annotation("visnyk.dev/sync"))).await, None);
        let others = [
            annotation("example.org/note"),
            json!({"metadata": {"labels": {"example.org/label": "new"}}}),
            json!({"metadata": {"labels": {"app.kubernetes.io/name": "another"}}}),
            json!({"metadata": {"finalizers": ["example.org/stays"]}}),
            json!({"spec": {"containers": [{"name": "relay", "image": "example.org/another:1"}]}}),
            json!({"spec": {"activeDeadlineSeconds": 1}}),
        ];
        for change in others {
            let said = refusal(&pods, &own, &Patch::Strategic(&change)).await.unwrap_or_default();
            let reason = "the operator may change only the annotation visnyk.dev/sync of a pod";
            assert!(said.contains(reason), "{change}: {said:?}");
        }
        // An API server that asks whether the operator might delete the pod refuses before the policy does.
        let orphaned = json!({"metadata": {"ownerReferences": [{"$patch": "replace"}]}});
        assert_ne!(refusal(&pods, &own, &Patch::Strategic(orphaned)).await, None);
        for change in [annotation("visnyk.dev/sync"), annotation("example.org/note")] {
            let said = refusal(&pods, &foreign, &Patch::Strategic(&change)).await.unwrap_or_default();
            assert!(said.contains("the operator may change only its own pods"), "{change}: {said:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn operator_can_change_nothing_of_a_relay_but_its_finalizer() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage { client, namespace };
        stage.apply::<WebhookRelay>(RELAY, relay(0)).await.unwrap();
        let finalizers = |names: &[&str]| Patch::Merge(json!({"metadata": {"finalizers": names}}));
        let foreign = "example.org/held";
        assert_eq!(refusal(&stage.api::<WebhookRelay>(), RELAY, &finalizers(&[foreign])).await, None);

        let relays: Api<WebhookRelay> = Api::namespaced(as_operator().await, &stage.namespace);
        for ours in [&[foreign, "visnyk.dev/drain"][..], &[foreign]] {
            assert_eq!(refusal(&relays, RELAY, &finalizers(ours)).await, None, "{ours:?}");
        }
        let metadata = |field: &str, value: Value| Patch::Merge(json!({"metadata": {field: value}}));
        let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "another", "uid": "another"}]);
        let others = [
            finalizers(&[]),
            finalizers(&[foreign, "example.org/another"]),
            metadata("labels", json!({"example.org/label": "new"})),
            metadata("annotations", json!({"visnyk.dev/paused": "true"})),
            Patch::Merge(json!({"spec": {"replicas": 1}})),
            Patch::Merge(json!({"spec": {"spool": {"onDelete": "Discard"}}})),
        ];
        for change in others {
            let said = refusal(&relays, RELAY, &change).await.unwrap_or_default();
            let reason = "the operator may change only the finalizer visnyk.dev/drain of a relay";
            assert!(said.contains(reason), "{change:?}: {said:?}");
        }
        // As for pods.
        assert_ne!(refusal(&relays, RELAY, &metadata("ownerReferences", owner)).await, None);
        assert_eq!(refusal(&stage.api::<WebhookRelay>(), RELAY, &finalizers(&[])).await, None);
    })
    .await;
}

/// Returns a client that is the operator to the API server.
async fn as_operator() -> Client {
    let mut config = Config::infer().await.unwrap();
    config.auth_info.impersonate = Some(ACCOUNT.to_owned());
    Client::try_from(config).unwrap()
}

async fn foreign_pod(client: &Client, namespace: &str) -> String {
    let spec = restricted_pod(&restricted_container(&image("visnyk-relay"), &["--version"]));
    let pod = serde_json::from_value(json!({"metadata": {"name": "foreign"}, "spec": spec})).unwrap();
    Api::<Pod>::namespaced(client.clone(), namespace)
        .create(&PostParams::default(), &pod)
        .await
        .unwrap()
        .name_any()
}

/// Returns the refusal of a change by the API server, if there is one.
async fn refusal<K>(objects: &Api<K>, name: &str, change: &Patch<impl Serialize + Debug>) -> Option<String>
where
    K: Clone + Debug + DeserializeOwned,
{
    let changed = objects.patch(name, &PatchParams::default(), change).await;
    changed.err().map(|error| error.to_string())
}
