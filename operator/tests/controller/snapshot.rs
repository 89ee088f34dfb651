//! Snapshot of a namespace, in a form that can be held against another's: without times, numbers and keys that differ
//! from one life to the next, and with what certificates say in place of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join3;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::core::ApiResource;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use visnyk_cluster_harness::DEADLINE;
use visnyk_crds::{Collector, WebhookRelay};
use visnyk_runtime::pki::{CertificateAndKey, Facts, Purpose, SenderName, Trust};

use crate::world::World;

/// Objects by kind and name.
pub type Snapshot = BTreeMap<String, Value>;

/// Part of the objects in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Resources, their children and claims.
    All,
    /// Without the resources: what is said of them follows later, as their pods come and go.
    Children,
}

/// Takes a snapshot of a namespace.
pub async fn snapshot(world: &World, part: Part) -> Snapshot {
    let further = [
        ApiResource::erase::<WebhookRelay>(&()),
        ApiResource::erase::<Collector>(&()),
        ApiResource::erase::<PersistentVolumeClaim>(&()),
    ];
    let (pods, all) = (ApiResource::erase::<Pod>(&()), ListParams::default());
    let (mut objects, further, pods) =
        join3(world.objects(), world.list_all(&further, &all), world.list(&pods, &all)).await;
    objects.extend(further);
    let alike = Alike::of(&world.namespace, &objects, &pods);
    let is_part = |object: &&DynamicObject| part == Part::All || is_child(object);
    objects.iter().filter(is_part).map(|object| (name_of(object), alike.told(object))).collect()
}

/// Waits until there is just this.
///
/// # Panics
/// When it does not come to that in time, with what is another.
pub async fn wait_for(world: &World, part: Part, wanted: &Snapshot, patience: Duration, when: &str) {
    comes_to(wanted, patience, when, || snapshot(world, part)).await;
}

/// Deletes the claims, which resources leave behind, until there is nothing at all. Again and again, since a StatefulSet
/// that is not gone yet makes a claim anew.
///
/// # Panics
/// As [`wait_for`].
pub async fn delete_claims_until_nothing_is_left(world: &World) {
    let claims = world.api::<PersistentVolumeClaim>();
    let look = || async {
        claims.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
        snapshot(world, Part::All).await
    };
    comes_to(&Snapshot::new(), DEADLINE, "nothing is left", look).await;
}

/// The same of what else may be looked at.
///
/// # Panics
/// As [`wait_for`].
pub async fn comes_to<Look: Future<Output = Snapshot>>(
    wanted: &Snapshot,
    patience: Duration,
    when: &str,
    look: impl Fn() -> Look,
) {
    let begun = Instant::now();
    loop {
        let found = look().await;
        if found == *wanted {
            return;
        }
        let differences = || differences(&json!(found), &json!(wanted)).join("\n");
        assert!(begun.elapsed() < patience, "{when}:\n{}", differences());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Returns where two differ, a line for each place.
pub fn differences(found: &Value, wanted: &Value) -> Vec<String> {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            let names: BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
            let in_it = |name: &String| -> Vec<String> {
                let [found, wanted] = [found, wanted].map(|side| side.get(name).unwrap_or(&Value::Null));
                differences(found, wanted).iter().map(|line| format!("{name}: {line}")).collect()
            };
            names.into_iter().flat_map(in_it).collect()
        }
        (found, wanted) if found == wanted => Vec::new(),
        (found, wanted) => vec![format!("{found} and not {wanted}")],
    }
}

fn is_child(object: &DynamicObject) -> bool {
    object.labels().contains_key("app.kubernetes.io/managed-by")
}

fn name_of(object: &DynamicObject) -> String {
    format!("{} {}", object.types.as_ref().unwrap().kind, object.name_any())
}

/// Names of one life, in place of those of any other.
struct Alike {
    names: Vec<(String, String)>,
    authorities: Vec<(String, Trust)>,
}

impl Alike {
    fn of(namespace: &str, objects: &[DynamicObject], pods: &[DynamicObject]) -> Self {
        let mut names = vec![(namespace.to_owned(), "[namespace]".to_owned())];
        // A StatefulSet's pods have the same names in every life, and may be there or not: whoever deletes a StatefulSet
        // may wait minutes for the next one's pods.
        let has_random_name =
            |pod: &&DynamicObject| pod.owner_references().iter().any(|it| it.kind == "ReplicaSet");
        names.extend(pods.iter().filter(has_random_name).map(|pod| (pod.name_any(), "[pod]".to_owned())));
        let mut authorities = Vec::new();
        for object in objects {
            let uid = object.uid().unwrap();
            names.push((uid, format!("[uid of {}]", name_of(object))));
            if object.name_any().ends_with("-ca") {
                let pems = files(object)
                    .into_iter()
                    .filter(|(name, _)| name.strip_suffix(".crt").is_some_and(is_number));
                for (index, (_, pem)) in pems.enumerate() {
                    let name = format!("[authority {index} of {}]", object.name_any());
                    authorities.push((name.clone(), Trust::in_bundle(pem.as_bytes()).unwrap()));
                    names.push((pem, name));
                }
            }
        }
        Self { names, authorities }
    }

    fn told(&self, object: &DynamicObject) -> Value {
        let mut value = serde_json::to_value(object).unwrap();
        let fields = value.as_object_mut().unwrap();
        if is_child(object) {
            fields.remove("status"); // the business of others
        } else {
            fields.get_mut("status").into_iter().for_each(forget_times);
        }
        let metadata = fields["metadata"].as_object_mut().unwrap();
        for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
            metadata.remove(field);
        }
        if let Some(applied) =
            metadata.get_mut("annotations").and_then(|all| all.get_mut("visnyk.dev/applied"))
        {
            *applied = "[hash]".into();
        }
        if object.types.as_ref().unwrap().kind == "Secret" {
            fields.insert("data".into(), self.files_told(&files(object)).into());
        }
        for field in ["clusterIP", "clusterIPs"] {
            value["spec"].as_object_mut().and_then(|spec| spec.remove(field));
        }
        self.in_all(value)
    }

    /// Replaces names in every text by names that are the same in each life.
    fn in_all(&self, value: Value) -> Value {
        match value {
            Value::String(text) => self.text(text).into(),
            Value::Array(items) => items.into_iter().map(|item| self.in_all(item)).collect(),
            Value::Object(fields) => fields.into_iter().map(|(name, it)| (name, self.in_all(it))).collect(),
            other => other,
        }
    }

    fn text(&self, text: String) -> String {
        let text = self.names.iter().fold(text, |text, (name, told)| text.replace(name, told));
        text.split(", valid until ").next().unwrap().to_owned()
    }

    /// Describes certificates by their content and signer, and keys by whether they are theirs.
    fn files_told(&self, files: &BTreeMap<String, String>) -> Map<String, Value> {
        let told = |(name, content): (&String, &String)| {
            let told = match name.rsplit_once('.') {
                Some((pair, "key")) => {
                    match CertificateAndKey::parse(
                        files[&format!("{pair}.crt")].as_bytes(),
                        content.as_bytes(),
                    ) {
                        Ok(_) => "[key of the certificate]".to_owned(),
                        Err(error) => format!("[key of another: {error}]"),
                    }
                }
                Some((_, "crt")) if !self.names.iter().any(|(pem, _)| content.contains(pem)) => {
                    self.certificate(content)
                }
                _ => content.clone(),
            };
            let digits = name.split('.').next().filter(|first| is_number(first));
            (digits.map_or(name.clone(), |digits| name.replacen(digits, "[time]", 1)), told.into())
        };
        files.iter().map(told).collect()
    }

    fn certificate(&self, pem: &str) -> String {
        let facts = Facts::of_pem(pem.as_bytes()).unwrap();
        let sender = facts.uris.first().and_then(|uri| SenderName::parse(uri));
        let names = facts.dns_names.iter().cloned().collect();
        let purpose = sender.map_or(Purpose::Server { names, addresses: Vec::new() }, Purpose::Sender);
        let believes =
            |(_, trust): &&(String, Trust)| trust.believes(pem.as_bytes(), &purpose, Timestamp::now());
        let by: Vec<&String> = self.authorities.iter().filter(believes).map(|(name, _)| name).collect();
        format!("[certificate for {:?} {:?} by {by:?}]", facts.dns_names, facts.uris)
    }
}

/// Removes the times of conditions, and the time at which a certificate expires.
fn forget_times(status: &mut Value) {
    if let Some(time) = status.get_mut("certificateNotAfter") {
        *time = "[time]".into();
    }
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        condition.as_object_mut().unwrap().remove("lastTransitionTime");
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the content of a Secret.
fn files(object: &DynamicObject) -> BTreeMap<String, String> {
    let data: BTreeMap<String, ByteString> =
        serde_json::from_value(object.data["data"].clone()).unwrap_or_default();
    data.into_iter().map(|(name, content)| (name, String::from_utf8(content.0).unwrap())).collect()
}

#[test]
fn claim_is_named_alike_whether_its_pod_is_there_or_not() {
    let pod = |name: &str, controller: &str| {
        let owner = json!({ "apiVersion": "apps/v1", "kind": controller, "name": "x", "uid": "u", "controller": true });
        let metadata = json!({ "name": name, "ownerReferences": [owner] });
        let types = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata });
        serde_json::from_value::<DynamicObject>(types).unwrap()
    };
    let pods = [pod("harbour-relay-0", "StatefulSet"), pod("skiff-relay-7cc5d-x2b", "ReplicaSet")];
    let told = |pods: &[DynamicObject]| {
        let alike = Alike::of("ships", &[], pods);
        ["data-harbour-relay-0", "skiff-relay-7cc5d-x2b does not answer"]
            .map(|text| alike.text(text.to_owned()))
    };
    assert_eq!(told(&pods), ["data-harbour-relay-0", "[pod] does not answer"]);
    assert_eq!(told(&[])[0], told(&pods)[0]);
}
