//! Pods that a restricted namespace admits.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, LogParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::wait_until;

/// Returns a container that the restricted Pod Security Standard admits.
pub fn restricted_container(image: &str, args: &[&str]) -> Value {
    json!({
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": args,
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
    })
}

/// Returns a pod's spec around such a container, run as our images' user and group.
pub fn restricted_pod(container: &Value) -> Value {
    json!({
        "automountServiceAccountToken": false,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    })
}

/// Runs an image once, as a pod of the namespace, and returns what it printed.
///
/// # Panics
/// When it does not succeed, with what it printed.
pub async fn run_pod(client: &Client, namespace: &str, image: &str, args: &[&str]) -> String {
    let mut spec = restricted_pod(&restricted_container(image, args));
    spec["restartPolicy"] = json!("Never");
    let pod: Pod = serde_json::from_value(json!({"metadata": {"generateName": "run-"}, "spec": spec}))
        .expect("a pod as the API has it");
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let created = pods.create(&PostParams::default(), &pod).await.expect("create a pod");
    let name = created.metadata.name.expect("the API server names what it creates");
    let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
    let ended = wait_until(&pods, &name, |pod| {
        pod.is_some_and(|pod| matches!(phase(pod).as_str(), "Succeeded" | "Failed"))
    })
    .await
    .expect("the pod is there until it is deleted");
    let printed = pods.logs(&name, &LogParams::default()).await.expect("read the pod's log");
    assert_eq!(phase(&ended), "Succeeded", "{image} {args:?} printed: {printed}");
    pods.delete(&name, &DeleteParams::default()).await.expect("delete the pod");
    printed
}
