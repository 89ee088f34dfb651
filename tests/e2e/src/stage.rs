//! A relay that delivers to a collector, in a test's namespace, and their pods.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client, CustomResourceExt, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use visnyk_cluster_harness::{eventually, wait_until};
use visnyk_crds::{Collector, WebhookRelay};

use crate::traffic::{Ledger, assert_collected};

/// A namespace with a relay `front` and the collector `store`, to which it delivers.
pub struct Stage {
    /// Client of the API server.
    pub client: Client,
    /// Namespace of the test.
    pub namespace: String,
}

/// The name of the relay.
pub const RELAY: &str = "front";
/// The name of the collector.
pub const COLLECTOR: &str = "store";

/// Returns a relay that accepts from everybody.
pub fn relay(replicas: u32) -> Value {
    json!({
        "replicas": replicas,
        "listener": {"port": 8443, "tls": {"none": {}}},
        "spool": {"persistent": {"size": "64Mi"}},
        "sources": [{"name": "everybody", "path": "/", "verify": {"none": {}}}],
        // A collector that was away is asked again within a second.
        "destinations": [{
            "name": "archive",
            "service": {"name": "store-collector", "port": 80, "path": "/"},
            "retry": {"schedule": ["0s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s"]},
        }],
    })
}

/// Sets a retry schedule that is longer than a test.
///
/// # Panics
/// When the spec has no destination.
pub fn be_patient(spec: &mut Value) {
    let mut schedule = vec!["0s"];
    schedule.extend(["1s"; 5]);
    schedule.extend(["10s"; 26]);
    spec["destinations"][0]["retry"] = json!({ "schedule": schedule });
}

/// Adds a source at `/added`: a change that a running pod can follow.
///
/// # Panics
/// When the spec has no sources.
pub fn add_source(spec: &mut Value) {
    let sources = spec["sources"].as_array_mut().expect("a relay has sources");
    sources.push(json!({"name": "added", "path": "/added", "verify": {"none": {}}}));
}

/// Returns a collector that takes from everybody.
pub fn collector() -> Value {
    json!({
        "listener": {"port": 8080, "tls": {"none": {}}},
        "storage": {"persistent": {"size": "64Mi"}},
        "log": {"path": "webhook.log", "rotate": {"size": "32Mi", "keep": 1}},
        "access": {"anonymousIngest": {}},
    })
}

impl Stage {
    /// Applies both and waits until they are ready.
    ///
    /// # Panics
    /// When they do not get ready.
    pub async fn set(client: &Client, namespace: &str, relay: Value) -> Self {
        let stage = Self { client: client.clone(), namespace: namespace.to_owned() };
        stage.apply::<Collector>(COLLECTOR, collector()).await.expect("the collector is valid");
        stage.apply::<WebhookRelay>(RELAY, relay).await.expect("the relay is valid");
        stage.ready().await;
        stage
    }

    /// Applies the spec of a resource.
    ///
    /// # Errors
    /// When the API server refuses it.
    ///
    /// # Panics
    /// When the spec is no object.
    pub async fn apply<K: CustomResourceExt>(&self, name: &str, spec: Value) -> kube::Result<()> {
        let resource = K::api_resource();
        let object = json!({
            "apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}, "spec": spec,
        });
        let object: DynamicObject = serde_json::from_value(object).expect("an object");
        let parameters = PatchParams::apply("e2e").force();
        self.objects(&resource).patch(name, &parameters, &Patch::Apply(object)).await.map(drop)
    }

    /// Returns a client of the objects of a kind in the namespace.
    pub fn objects(&self, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, resource)
    }

    /// Returns a client of the objects of a known kind in the namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Waits until both resources are ready as they now are.
    pub async fn ready(&self) {
        self.condition::<Collector>(COLLECTOR, "Ready", "True").await;
        self.condition::<WebhookRelay>(RELAY, "Ready", "True").await;
    }

    /// Waits until a condition has a status, for the generation that the resource has now. Returns it.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn condition<K>(&self, name: &str, type_: &str, status: &str) -> Condition
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Told
            + 'static,
    {
        let found = |object: &K| {
            let conditions = object.conditions().iter();
            let mut current = conditions.filter(|one| one.observed_generation == object.meta().generation);
            current.find(|one| one.type_ == type_ && one.status == status).cloned()
        };
        let objects = self.api::<K>();
        let object =
            wait_until(&objects, name, |object| object.is_some_and(|one| found(one).is_some())).await;
        object.as_ref().and_then(found).expect("it was waited for")
    }

    /// Returns the relay's pods.
    pub async fn relay_pods(&self) -> Vec<Pod> {
        self.pods("visnyk-relay", RELAY).await
    }

    /// Returns the only pod of the collector `store`.
    ///
    /// # Panics
    /// When there is none in time.
    pub async fn collector_pod(&self) -> Pod {
        self.pod_of_collector(COLLECTOR).await
    }

    /// Returns the only pod of a collector.
    ///
    /// # Panics
    /// When there is none in time.
    pub async fn pod_of_collector(&self, name: &str) -> Pod {
        let ready = || async { self.pods("visnyk-collector", name).await.pop().filter(is_ready) };
        eventually("the collector has a pod that is ready", ready, Option::is_some)
            .await
            .expect("it was waited for")
    }

    /// Waits until every accepted event is in the log of the collector `store`.
    ///
    /// # Panics
    /// As [`assert_collected`].
    pub async fn assert_arrived(&self, ledger: &Ledger) {
        assert_collected(&self.namespace, &self.collector_pod().await, ledger).await;
    }

    /// Waits until the relay has so many pods, all ready, and none of these is among them.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn fresh_relay_pods(&self, before: &[Pod], count: usize) {
        let old = uids(before);
        let is_fresh = |now: &Vec<Pod>| {
            now.len() == count && now.iter().all(is_ready) && uids(now).iter().all(|uid| !old.contains(uid))
        };
        eventually("the relay has fresh pods", || self.relay_pods(), is_fresh).await;
    }

    async fn pods(&self, app: &str, instance: &str) -> Vec<Pod> {
        let labels = format!("app.kubernetes.io/name={app},app.kubernetes.io/instance={instance}");
        let list = self.api::<Pod>().list(&ListParams::default().labels(&labels)).await;
        list.expect("pods can be listed").items
    }
}

/// A custom resource whose status has conditions.
pub trait Told {
    /// Returns the conditions of the resource.
    fn conditions(&self) -> &[Condition];
}

impl Told for WebhookRelay {
    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }
}

impl Told for Collector {
    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }
}

/// Returns whether a pod is ready and is not being deleted.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
}

/// Returns the number of restarts of a pod's containers.
pub fn restarts(pod: &Pod) -> i32 {
    let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    containers.map(|container| container.restart_count).sum()
}

/// Returns the UIDs of pods, which tell them from the pods that replace them.
pub fn uids(pods: &[Pod]) -> Vec<String> {
    let mut uids: Vec<String> = pods.iter().filter_map(ResourceExt::uid).collect();
    uids.sort();
    uids
}
