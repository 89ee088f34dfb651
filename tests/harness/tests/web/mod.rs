//! A small web server on the cluster: Deployment, Service and claim, all named
//! `web`. It is called by the Service's DNS name, from a pod, as users' pods do.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use visnyk_cluster_harness::{DEADLINE, image, restricted_container, restricted_pod, run_pod};

pub struct Web {
    client: Client,
    namespace: String,
}

impl Web {
    pub async fn start(client: &Client, namespace: &str, volume: &str) -> Self {
        let mut container = restricted_container(&image("visnyk-test-workload"), &["serve"]);
        let healthy =
            json!({"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1, "failureThreshold": 2});
        container["readinessProbe"] = healthy.clone();
        container["livenessProbe"] = healthy;
        container["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
        let mut spec = restricted_pod(&container);
        spec["volumes"] = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "web"}}]);
        let claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": volume}}});
        let deployment = json!({
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": spec},
        });
        let service = json!({"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]});
        let web = Self { client: client.clone(), namespace: namespace.to_owned() };
        web.apply("", "PersistentVolumeClaim", claim).await;
        web.apply("apps", "Deployment", deployment).await;
        web.apply("", "Service", service).await;
        web
    }

    async fn apply(&self, group: &str, kind: &str, spec: Value) {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        let objects: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let object = json!({"apiVersion": resource.api_version, "kind": kind, "metadata": {"name": "web"}, "spec": spec});
        let applied = objects.patch("web", &PatchParams::apply("self-test"), &Patch::Apply(object)).await;
        applied.unwrap_or_else(|error| panic!("apply {kind} web: {error}"));
    }

    /// Waits for a pod that is ready, and returns its name.
    pub async fn ready_pod(&self) -> String {
        use futures::TryStreamExt;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let changes = watcher(pods, watcher::Config::default().labels("app=web")).applied_objects();
        let mut ready = std::pin::pin!(changes.try_filter(|pod| std::future::ready(is_ready(pod))));
        let found = tokio::time::timeout(DEADLINE, ready.try_next()).await;
        found
            .expect("a pod of web is ready in time")
            .expect("watch the pods of web")
            .expect("a watch does not end")
            .name_any()
    }

    pub async fn restarts(&self, pod: &str) -> i32 {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        pods.list(&ListParams::default())
            .await
            .expect("list the pods of web")
            .iter()
            .find(|found| found.name_any() == pod)
            .map_or(0, restarts)
    }

    /// Calls the server by its Service's DNS name, from another pod.
    pub async fn call(&self, method: &str, path: &str, body: &str) -> String {
        let authority = format!("web.{}.svc:80", self.namespace);
        run_pod(
            &self.client,
            &self.namespace,
            &image("visnyk-test-workload"),
            &["call", method, &authority, path, body],
        )
        .await
    }
}

pub fn restarts(pod: &Pod) -> i32 {
    let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    containers.map(|container| container.restart_count).sum()
}

pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
