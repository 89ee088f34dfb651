//! What the operator may do to pods, by the chart's `ValidatingAdmissionPolicy`: set one annotation, on its own.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Config, ResourceExt};
use serde_json::{Value, json};
use visnyk_cluster_harness::{image, restricted_container, restricted_pod, with_temp_ns};
use visnyk_e2e::chart::ACCOUNT;
use visnyk_e2e::stage::{Stage, relay};

#[tokio::test]
async fn operator_can_change_nothing_of_a_pod_but_one_annotation_of_its_own() {
    with_temp_ns(async |client, namespace| {
        let stage = Stage::set(&client, &namespace, relay(1)).await;
        let own = stage.relay_pods().await.remove(0).name_any();
        let foreign = foreign_pod(&client, &namespace).await;
        let pods: Api<Pod> = Api::namespaced(as_operator().await, &namespace);
        let annotation = |name: &str| json!({"metadata": {"annotations": {name: "now"}}});

        assert_eq!(refusal(&pods, &own, annotation("visnyk.dev/sync")).await, None);
        let others = [
            annotation("example.org/note"),
            json!({"metadata": {"labels": {"example.org/label": "new"}}}),
            json!({"metadata": {"labels": {"app.kubernetes.io/name": "another"}}}),
            json!({"metadata": {"finalizers": ["example.org/stays"]}}),
            json!({"spec": {"containers": [{"name": "relay", "image": "example.org/another:1"}]}}),
            json!({"spec": {"activeDeadlineSeconds": 1}}),
        ];
        for change in others {
            let said = refusal(&pods, &own, change.clone()).await.unwrap_or_default();
            let reason = "the operator may change only the annotation visnyk.dev/sync of a pod";
            assert!(said.contains(reason), "{change}: {said:?}");
        }
        // An API server that asks whether the operator might delete the pod refuses before the policy does.
        let orphaned = json!({"metadata": {"ownerReferences": [{"$patch": "replace"}]}});
        assert_ne!(refusal(&pods, &own, orphaned).await, None);
        for change in [annotation("visnyk.dev/sync"), annotation("example.org/note")] {
            let said = refusal(&pods, &foreign, change.clone()).await.unwrap_or_default();
            assert!(said.contains("the operator may change only its own pods"), "{change}: {said:?}");
        }
    })
    .await;
}

/// A client that is the operator to the API server.
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

/// What the API server says against a change, if anything.
async fn refusal(pods: &Api<Pod>, name: &str, change: Value) -> Option<String> {
    let changed = pods.patch(name, &PatchParams::default(), &Patch::Strategic(change)).await;
    changed.err().map(|error| error.to_string())
}
