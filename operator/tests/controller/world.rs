//! A namespace with controllers of its own, and resources to put into it.

use std::future::Future;

use futures::future::join_all;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams, TypeMeta};
use kube::core::{ApiResource, NamespaceResourceScope};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use visnyk_cluster_harness::{install, wait_until, with_temp_ns};
use visnyk_crds::api::Status;
use visnyk_crds::schema::definition;
use visnyk_crds::{Collector, WebhookRelay};
use visnyk_operator::controller;
use visnyk_operator::process::args::{Images, Namespaces};
use visnyk_operator::process::events::Events;
use visnyk_operator::process::installation::Installation;
use visnyk_operator::process::metrics::OperatorMetrics;
use visnyk_operator::process::run::ControllerDeps;
use visnyk_runtime::observe::metrics::Metrics;

use crate::line::Line;

/// A namespace that controllers look after.
pub struct World {
    pub client: Client,
    pub namespace: String,
    /// Account of the controllers at the API server: an administrator, unless another is named.
    pub account: Option<String>,
    /// The installation that the controllers are of.
    pub installation: Installation,
    /// Image of the relays' pods.
    image: String,
    metrics: OperatorMetrics,
    controllers: Option<JoinHandle<()>>,
}

/// Runs a test in a namespace of its own, with the kinds installed and controllers running.
pub async fn in_world<Outcome: Future<Output = ()> + Send + 'static>(test: impl FnOnce(World) -> Outcome) {
    with_temp_ns(|client, namespace| test(World::new(client, namespace, "test"))).await;
}

impl World {
    /// Returns a namespace with controllers of an installation without a Lease, and an image of this tag.
    fn new(client: Client, namespace: String, tag: &str) -> Self {
        Self {
            client,
            namespace,
            account: None,
            installation: Installation { namespace: "test".to_owned(), lease: "visnyk-operator".to_owned() },
            image: format!("relay:{tag}"),
            metrics: OperatorMetrics::default(),
            controllers: None,
        }
    }

    /// Returns the same namespace, with controllers of another installation, which have another image.
    pub fn with_another(&self, installation: Installation) -> Self {
        let mut another = Self::new(self.client.clone(), self.namespace.clone(), &installation.lease);
        another.installation = installation;
        another
    }

    /// Installs the kinds, if they are not: for what is there before the controllers are.
    pub async fn install_kinds(&self) {
        install(&self.client, &definition::<WebhookRelay>()).await.unwrap();
        install(&self.client, &definition::<Collector>()).await.unwrap();
    }

    /// Installs the kinds, if they are not, and starts the controllers.
    pub async fn start(&mut self) {
        self.start_on(&Line::sound()).await;
    }

    /// Starts the controllers with this line between them and the API server.
    pub async fn start_on(&mut self, line: &Line) {
        self.start_in(vec![self.namespace.clone()], line).await;
    }

    /// Starts controllers that reconcile these namespaces.
    pub async fn start_in(&mut self, namespaces: Vec<String>, line: &Line) {
        self.install_kinds().await;
        let client = line.client(self.account.as_deref()).await;
        let deps = ControllerDeps {
            client: client.clone(),
            namespaces: Namespaces::Only(namespaces),
            installation: self.installation.clone(),
            images: Images { relay: self.image.clone(), collector: "collector:test".into() },
            metrics: self.metrics.clone(),
            events: Events::new(client, "test"),
        };
        self.controllers = Some(tokio::spawn(controller::run(deps)));
    }

    /// Ends the controllers where they stand, as a killed process does.
    pub async fn stop(&mut self) {
        if let Some(controllers) = self.controllers.take() {
            controllers.abort();
            let _ = controllers.await;
        }
    }

    /// Returns the certificates on the page of metrics, as `<kind> <name>`, in order.
    pub fn certificates(&self) -> Vec<String> {
        let page = Metrics::new("test", "0");
        page.register(|registry| self.metrics.register(registry));
        let named = |line: &str| {
            let labels = line.strip_prefix("visnyk_certificate_expiry_timestamp_seconds{")?;
            let values: Vec<&str> = labels.split('"').collect();
            assert_eq!(values[3], self.namespace);
            Some(format!("{} {}", values[1], values[5]))
        };
        let mut certificates: Vec<String> = page.encode().lines().filter_map(named).collect();
        certificates.sort();
        certificates
    }

    /// Returns a client for objects of a kind.
    pub fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates a relay of this name, with these fields of its spec set.
    pub async fn create_relay(&self, name: &str, spec: &Value) -> WebhookRelay {
        let relay = serde_json::from_value(relay(name, spec)).unwrap();
        self.api::<WebhookRelay>().create(&PostParams::default(), &relay).await.unwrap()
    }

    /// Creates a collector of this name, with these fields of its spec set.
    pub async fn create_collector(&self, name: &str, spec: &Value) -> Collector {
        let collector = serde_json::from_value(collector(name, spec)).unwrap();
        self.api::<Collector>().create(&PostParams::default(), &collector).await.unwrap()
    }

    /// Changes fields of a resource.
    pub async fn change<K>(&self, name: &str, patch: &Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        self.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
    }

    /// Waits until a condition of a resource has this status and reason, as of its latest generation.
    pub async fn wait_for_condition<K>(&self, name: &str, about: &str, status: &str, reason: &str) -> Status
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Send
            + 'static
            + LastStatus,
    {
        let is_so = |resource: Option<&K>| {
            resource.is_some_and(|resource| {
                let said = resource.said();
                said.is_some_and(|said| {
                    said.observed_generation == resource.meta().generation
                        && said
                            .conditions
                            .iter()
                            .any(|one| one.type_ == about && one.status == status && one.reason == reason)
                })
            })
        };
        let resource = wait_until(&self.api::<K>(), name, is_so).await;
        resource.unwrap().said().cloned().unwrap()
    }

    /// Returns every child of a resource, as `<Kind> <name>`, in order.
    pub async fn children(&self) -> Vec<String> {
        let mut found = Vec::new();
        for object in self.objects().await {
            found.push(format!("{} {}", object.types.unwrap().kind, object.metadata.name.unwrap()));
        }
        found.sort();
        found
    }

    /// Returns every child with all its fields but those that change from one life to the next.
    pub async fn objects(&self) -> Vec<DynamicObject> {
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=visnyk-operator");
        self.list_all(&kinds(), &ours).await
    }

    /// Lists objects of these kinds, in their order, each with its kind.
    pub async fn list_all(&self, resources: &[ApiResource], which: &ListParams) -> Vec<DynamicObject> {
        let each = resources.iter().map(|resource| self.list(resource, which));
        join_all(each).await.into_iter().flatten().collect()
    }

    /// Lists objects of a kind, each with its kind.
    pub async fn list(&self, resource: &ApiResource, which: &ListParams) -> Vec<DynamicObject> {
        let types = TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() };
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, resource);
        let mut objects = api.list(which).await.unwrap().items;
        for object in &mut objects {
            object.types = Some(types.clone());
        }
        objects
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(controllers) = self.controllers.take() {
            controllers.abort();
        }
    }
}

/// A resource with a status of ours.
pub trait LastStatus {
    fn said(&self) -> Option<&Status>;
}

impl LastStatus for WebhookRelay {
    fn said(&self) -> Option<&Status> {
        self.status.as_ref()
    }
}

impl LastStatus for Collector {
    fn said(&self) -> Option<&Status> {
        self.status.as_ref()
    }
}

/// Returns the kinds of children that every cluster knows.
fn kinds() -> Vec<ApiResource> {
    use k8s_openapi::api::{apps::v1 as apps, autoscaling::v2 as autoscaling, core::v1 as core};
    use k8s_openapi::api::{batch::v1 as batch, networking::v1 as networking, policy::v1 as policy};
    vec![
        ApiResource::erase::<core::ServiceAccount>(&()),
        ApiResource::erase::<core::ConfigMap>(&()),
        ApiResource::erase::<core::Secret>(&()),
        ApiResource::erase::<core::Service>(&()),
        ApiResource::erase::<networking::NetworkPolicy>(&()),
        ApiResource::erase::<networking::Ingress>(&()),
        ApiResource::erase::<policy::PodDisruptionBudget>(&()),
        ApiResource::erase::<apps::Deployment>(&()),
        ApiResource::erase::<apps::StatefulSet>(&()),
        ApiResource::erase::<batch::Job>(&()),
        ApiResource::erase::<autoscaling::HorizontalPodAutoscaler>(&()),
    ]
}

/// Returns a relay, with these fields of its spec set.
pub fn relay(name: &str, spec: &Value) -> Value {
    let mut relay = json!({
        "apiVersion": "visnyk.dev/v1alpha1",
        "kind": "WebhookRelay",
        "metadata": { "name": name },
        "spec": {
            "listener": { "tls": { "none": {} } },
            "spool": { "persistent": { "size": "64Mi" } },
            "sources": [{ "name": "open", "path": "/", "verify": { "none": {} } }],
            "destinations": [{ "name": "pilot", "url": "https://pilot.example.org/hook" }],
        },
    });
    set(&mut relay["spec"], spec);
    relay
}

/// Returns a collector, with these fields of its spec set.
pub fn collector(name: &str, spec: &Value) -> Value {
    let mut collector = json!({
        "apiVersion": "visnyk.dev/v1alpha1",
        "kind": "Collector",
        "metadata": { "name": name },
        "spec": {
            "listener": { "tls": { "selfSigned": {} } }, "log": {}, "access": { "anonymousIngest": {} },
        },
    });
    set(&mut collector["spec"], spec);
    collector
}

fn set(spec: &mut Value, fields: &Value) {
    for (field, value) in fields.as_object().unwrap() {
        spec[field] = value.clone();
    }
}

/// Creates a class of volumes that can grow, named as the namespace.
pub async fn growing_class(world: &World) -> Api<StorageClass> {
    let class: StorageClass = serde_json::from_value(json!({
        "metadata": { "name": world.namespace }, "provisioner": "example.org/none", "allowVolumeExpansion": true,
    }))
    .unwrap();
    let classes = Api::all(world.client.clone());
    classes.create(&PostParams::default(), &class).await.unwrap();
    classes
}

/// Says of all claims that they have their volumes, as a provisioner would: only then can they grow.
pub async fn bind_claims(world: &World) {
    let claims = world.api::<PersistentVolumeClaim>();
    let bound = json!({ "status": { "phase": "Bound", "capacity": { "storage": "104Mi" } } });
    for claim in claims.list(&ListParams::default()).await.unwrap() {
        let name = claim.metadata.name.unwrap();
        claims.patch_status(&name, &PatchParams::default(), &Patch::Merge(&bound)).await.unwrap();
    }
}

/// Returns the message of a condition.
pub fn message<'a>(said: &'a Status, about: &str) -> &'a str {
    &said.conditions.iter().find(|condition| condition.type_ == about).unwrap().message
}
