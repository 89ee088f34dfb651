//! A resource whose properties are tried: its spec is set, and what came of that is held against what was before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use serde_json::{Value, json};
use visnyk_cluster_harness::{wait_until, within};
use visnyk_crds::manifest::{load_collector, load_relay};
use visnyk_crds::valid::SecretRef;

use crate::snapshot::{Part, Snapshot, comes_to, delete_claims_until_nothing_is_left, differences, snapshot};
use crate::world::World;

/// Name of the resource.
pub const NAME: &str = "tried";

/// Time in which the rest follows once the operator says that it has seen a spec.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Conditions that follow from the spec; the others follow the pods.
const OF_SPEC: [&str; 3] = ["Accepted", "CertificateReady", "Durable"];

/// A resource whose properties are tried.
pub struct Tried<'a> {
    world: &'a World,
    api: Api<DynamicObject>,
    /// Kind of the resource.
    pub kind: String,
    /// Resource as it is created.
    object: Value,
    /// Its spec before each trial and after, with all defaults.
    pub spec: Value,
    before: Snapshot,
}

/// Change that a spec caused.
#[derive(Debug)]
pub struct Change {
    /// The reason of the condition `Accepted`.
    pub reason: String,
    /// Message of the condition.
    pub message: String,
    /// The kinds of objects that are other than before.
    pub kinds: BTreeSet<String>,
    /// Paths of the children's fields that changed.
    #[expect(dead_code, reason = "a test that fails shows it")]
    places: Vec<String>,
    /// Places at which the pods are given something else than the spec.
    pub strays: Vec<String>,
}

impl<'a> Tried<'a> {
    /// Creates the object of this kind.
    pub async fn create(world: &'a World, kind: &ApiResource, object: Value) -> Self {
        let api = Api::namespaced_with(world.client.clone(), &world.namespace, kind);
        let (kind, before) = (kind.kind.clone(), Snapshot::new());
        let mut tried = Self { world, api, kind, object, spec: Value::Null, before };
        tried.spec = tried.begin(&tried.object["spec"]).await;
        tried.before = tried.picture().await;
        tried
    }

    /// Begins anew with another spec; with another resource, where none can change to that.
    pub async fn turn_to(&mut self, spec: &Value) {
        self.spec = match self.refusal(spec).await {
            None => self.put(spec, "turn to another").await,
            Some(_) => self.recreate(spec).await,
        };
        self.before = self.picture().await;
    }

    /// Creates it with this spec; returns that with all defaults.
    async fn begin(&self, spec: &Value) -> Value {
        let mut object = self.object.clone();
        object["spec"].clone_from(spec);
        self.make_secrets(spec).await;
        let object = serde_json::from_value(object).unwrap();
        let created = self.api.create(&PostParams::default(), &object).await.unwrap();
        self.observed(&created).await;
        created.data["spec"].clone()
    }

    /// Deletes it, and waits until nothing is left.
    pub async fn end(&self) {
        self.api.delete(NAME, &DeleteParams::default()).await.unwrap();
        wait_until(&self.api, NAME, |found| found.is_none()).await;
        delete_claims_until_nothing_is_left(self.world).await;
    }

    /// Makes it anew with this spec; returns that with all defaults.
    pub async fn recreate(&self, spec: &Value) -> Value {
        self.end().await;
        self.begin(spec).await
    }

    /// Returns the API server's objection to this spec; nothing is written.
    pub async fn refusal(&self, spec: &Value) -> Option<String> {
        match self.patch(spec, &PatchParams { dry_run: true, ..PatchParams::default() }).await {
            Ok(_) => None,
            Err(kube::Error::Api(status)) if status.is_invalid() => Some(status.message),
            Err(error) => panic!("try a spec: {error}"),
        }
    }

    /// Makes the Secrets that a spec refers to: without them it would not run in the place of the one before.
    async fn make_secrets(&self, spec: &Value) {
        let mut object = self.object.clone();
        object["spec"].clone_from(spec);
        let text = object.to_string();
        let secrets = if self.kind == "Collector" {
            load_collector(&text, None).map(|collector| collector.listener.secrets())
        } else {
            load_relay(&text, None).map(|relay| relay.secrets())
        };
        let mut contents: BTreeMap<String, BTreeMap<String, ByteString>> = BTreeMap::new();
        for SecretRef { name, key } in secrets.unwrap_or_default() {
            contents.entry(name).or_default().insert(key, ByteString(b"sesame".to_vec()));
        }
        for (name, data) in contents {
            let metadata = json!({ "name": name });
            let secret = json!({ "metadata": metadata, "apiVersion": "v1", "kind": "Secret", "data": data });
            let parameters = PatchParams::apply("test");
            self.world.api::<Secret>().patch(&name, &parameters, &Patch::Apply(&secret)).await.unwrap();
        }
    }

    /// Gives it this spec; returns that with all defaults.
    pub async fn put(&self, spec: &Value, when: &str) -> Value {
        self.make_secrets(spec).await;
        let patched = self.patch(spec, &PatchParams::default()).await;
        let patched = patched.unwrap_or_else(|error| panic!("{when}: {error}"));
        self.observed(&patched).await;
        patched.data["spec"].clone()
    }

    async fn patch(&self, spec: &Value, parameters: &PatchParams) -> kube::Result<DynamicObject> {
        let patch = json!([{ "op": "replace", "path": "/spec", "value": spec }]);
        let patch: Patch<()> = Patch::Json(serde_json::from_value(patch).unwrap());
        self.api.patch(NAME, &parameters.clone().validation_strict(), &patch).await
    }

    /// Waits until the operator has looked at this generation.
    async fn observed(&self, object: &DynamicObject) {
        let wanted = object.metadata.generation;
        let is_observed = |found: Option<&DynamicObject>| {
            found.is_some_and(|found| found.data["status"]["observedGeneration"].as_i64() == wanted)
        };
        wait_until(&self.api, NAME, is_observed).await;
    }

    /// Waits until just this has come of its spec.
    pub async fn comes_to(&self, reason: &str, kinds: &BTreeSet<String>, when: &str) -> Change {
        let is_it = |change: &Change| change.reason == reason && change.kinds == *kinds;
        within(TIMEOUT, when, || self.change(), is_it).await
    }

    /// Waits until all is as it was.
    pub async fn is_as_before(&self, when: &str) {
        comes_to(&self.before, TIMEOUT, when, || self.picture()).await;
    }

    async fn change(&self) -> Change {
        let picture = self.picture().await;
        let places = differences(&json!(picture), &json!(self.before));
        let kinds = places.iter().map(|place| place.split(' ').next().unwrap().to_owned()).collect();
        let resource = &picture[&format!("{} {NAME}", self.kind)];
        let conditions = resource["status"]["conditions"].as_array().unwrap();
        let accepted = conditions.iter().find(|condition| condition["type"] == "Accepted").unwrap();
        let text = |field: &str| accepted[field].as_str().unwrap().to_owned();
        let strays = differences(&manifest(&picture)["spec"], &resource["spec"]);
        Change { reason: text("reason"), message: text("message"), kinds, places, strays }
    }

    /// Returns the objects and conditions, as far as they follow from the spec.
    async fn picture(&self) -> Snapshot {
        let mut picture = snapshot(self.world, Part::All).await;
        picture.retain(|name, _| !name.starts_with("PersistentVolumeClaim"));
        for object in picture.values_mut() {
            forget_pods(object);
        }
        picture
    }
}

/// Returns the manifest that the pods are given.
fn manifest(picture: &Snapshot) -> Value {
    let map = picture
        .iter()
        .find(|(name, object)| name.starts_with("ConfigMap") && object["data"]["manifest.yaml"].is_string());
    map.map_or(Value::Null, |(_, map)| {
        serde_yaml::from_str(map["data"]["manifest.yaml"].as_str().unwrap()).unwrap()
    })
}

/// Takes away what changes as pods come and go.
fn forget_pods(object: &mut Value) {
    if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
        annotations.remove("deployment.kubernetes.io/revision");
    }
    let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) else { return };
    status.remove("observedGeneration");
    status.remove("replicas");
    let conditions = status["conditions"].as_array_mut().unwrap();
    conditions.retain(|condition| OF_SPEC.iter().any(|about| condition["type"] == *about));
    for condition in conditions {
        condition.as_object_mut().unwrap().remove("observedGeneration");
    }
}
