//! Reads a manifest's text into a validated configuration. A manifest is what `kubectl apply` takes: several YAML
//! documents, of which one is read; documents of other API groups are ignored.

use kube::CustomResourceExt;
use kube::core::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::api::{Collector, CollectorSpec, GROUP, VERSION, WebhookRelay, WebhookRelaySpec};
use crate::contract::manifest::{CONFIGURATION_HASH, OPERATOR_VERSION};
use crate::problem::{FieldPath, Problem, Problems};
use crate::schema::{self, Repaired};
use crate::valid::{Identity, ValidatedCollector, ValidatedRelay};
use crate::{validate, yaml};

/// Reads the relay in a manifest; `name` selects one where there are several.
pub fn load_relay(text: &str, name: Option<&str>) -> Result<ValidatedRelay, Vec<Problem>> {
    load::<WebhookRelay, WebhookRelaySpec, _>(text, name, |metadata, spec| {
        let mut valid = validate::relay(&WebhookRelay { metadata: metadata.clone(), spec, status: None })?;
        take_hash(&metadata, &mut valid.identity);
        Ok(valid)
    })
}

/// Reads the collector in a manifest; `name` selects one where there are several.
pub fn load_collector(text: &str, name: Option<&str>) -> Result<ValidatedCollector, Vec<Problem>> {
    load::<Collector, CollectorSpec, _>(text, name, |metadata, spec| {
        let mut valid = validate::collector(&Collector { metadata: metadata.clone(), spec, status: None })?;
        take_hash(&metadata, &mut valid.identity);
        Ok(valid)
    })
}

/// Returns the version of the operator that wrote a manifest; `None` if it is a user's own, or cannot be read at all.
pub fn operator_version(text: &str) -> Option<String> {
    let documents = documents(text).ok()?;
    let version =
        |document: &Value| document["metadata"]["annotations"][OPERATOR_VERSION].as_str().map(str::to_owned);
    documents.iter().find_map(version)
}

/// Takes over the hash that the operator expects to be reported.
fn take_hash(metadata: &ObjectMeta, identity: &mut Identity) {
    let given = metadata.annotations.as_ref().and_then(|annotations| annotations.get(CONFIGURATION_HASH));
    let is_hash = |text: &&String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(hash) = given.filter(is_hash) {
        identity.configuration_hash.clone_from(hash);
    }
}

fn load<K: CustomResourceExt, S: DeserializeOwned, V>(
    text: &str,
    name: Option<&str>,
    validate: impl FnOnce(ObjectMeta, S) -> Result<V, Vec<Problem>>,
) -> Result<V, Vec<Problem>> {
    let kind = K::api_resource().kind;
    let document = pick(documents(text)?, &kind, name)?;

    let mut problems = Problems::default();
    check_root(&document, &mut problems);
    let spec = document.get("spec").unwrap_or(&Value::Null);
    let schema = schema::spec_schema::<K>();
    if spec.is_null() {
        problems.add(FieldPath::of("spec"), "is required");
    } else {
        schema::check(schema, spec, &FieldPath::of("spec"), &mut problems);
    }
    let metadata = document.get("metadata").cloned().unwrap_or_else(|| Map::new().into());
    let metadata = serde_json::from_value(metadata).map_err(|error| error.to_string());
    let metadata = problems.note(FieldPath::of("metadata"), metadata);
    if spec.is_null() {
        return Err(problems.into_vec());
    }
    // One mistake must not hide another, so what is checked further is the spec as far as it can be read.
    let Repaired { value, stand_ins } = schema::repair(schema, spec, &FieldPath::of("spec"));
    let spec = problems.note(FieldPath::of("spec"), S::deserialize(value).map_err(|error| error.to_string()));

    let Some((metadata, spec)) = metadata.zip(spec) else { return Err(problems.into_vec()) };
    match validate(metadata, spec) {
        Ok(valid) => problems.or(Some(valid)),
        Err(more) => {
            let about_the_original =
                more.into_iter().filter(|found| !stand_ins.iter().any(|one| found.place.is_within(one)));
            for Problem { place, reason } in about_the_original {
                problems.add(place, reason);
            }
            Err(problems.into_vec())
        }
    }
}

/// Returns the documents of a manifest that are not empty.
fn documents(text: &str) -> Result<Vec<Value>, Vec<Problem>> {
    // Behind a mistake in the notation nothing can be trusted.
    let documents =
        yaml::documents(text).map_err(|reason| vec![Problem { place: FieldPath::of("manifest"), reason }])?;
    Ok(documents.into_iter().flat_map(items).collect())
}

/// Returns the items of a list, as `kubectl get` writes several resources. Any other document is its only item.
fn items(document: Value) -> Vec<Value> {
    let is_list = document["kind"] == "List" && document["apiVersion"] == "v1";
    match document {
        Value::Object(mut fields) if is_list => match fields.remove("items") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        },
        other => vec![other],
    }
}

/// Returns the one document of a kind, or of a kind and name.
fn pick(documents: Vec<Value>, kind: &str, name: Option<&str>) -> Result<Value, Vec<Problem>> {
    let mut problems = Problems::default();
    for (index, document) in documents.iter().enumerate() {
        if let Some(reason) = strange(document, kind) {
            problems.add(FieldPath::of(&format!("document {}", index + 1)), reason);
        }
    }
    let other = other_kind(&documents, kind);
    let mut ours: Vec<Value> = documents.into_iter().filter(|document| document["kind"] == kind).collect();
    let names: Vec<String> = ours.iter().map(name_of).collect();
    ours.retain(|document| name.is_none_or(|name| name_of(document) == name));

    let found = ours.pop();
    let reason = match (&found, name, &names[..]) {
        (None, _, []) => match other {
            Some((other, program)) => format!("holds no {kind} but a {other}: use {program} check"),
            None => format!("holds no {kind}"),
        },
        (None, Some(name), names) => format!("holds no {kind} named {name:?}; there is {}", names.join(", ")),
        (Some(_), None, names) if !ours.is_empty() => {
            format!("holds several of kind {kind} ({}); say which by its name", names.join(", "))
        }
        (Some(_), Some(name), _) if !ours.is_empty() => {
            format!("holds several of kind {kind} named {name:?}")
        }
        _ => return problems.or(found),
    };
    if problems.is_empty() {
        problems.add(FieldPath::of("manifest"), reason);
    }
    Err(problems.into_vec())
}

/// Returns the other kind of this API group, if the documents hold it, and the program that reads it.
fn other_kind(documents: &[Value], wanted: &str) -> Option<(String, &'static str)> {
    let programs = [
        (WebhookRelay::api_resource().kind, "visnyk-relay"),
        (Collector::api_resource().kind, "visnyk-collector"),
    ];
    let holds = |kind: &str| documents.iter().any(|document| document["kind"] == kind);
    programs.into_iter().find(|(kind, _)| kind != wanted && holds(kind))
}

/// Returns the error text for a document that is neither a resource of this API group nor of another one.
fn strange(document: &Value, kind_wanted: &str) -> Option<String> {
    if !document.is_object() {
        return Some("must be an object with apiVersion and kind".to_owned());
    }
    let (Some(api_version), Some(kind)) = (document["apiVersion"].as_str(), document["kind"].as_str()) else {
        return Some("needs apiVersion and kind, both strings".to_owned());
    };
    let known = format!("{GROUP}/{VERSION}");
    let of_our_group = api_version.split('/').next() == Some(GROUP);
    if api_version != known && (of_our_group || kind == kind_wanted) {
        return Some(format!("apiVersion {api_version:?} is not known; {kind} is of {known}"));
    }
    let kinds = [WebhookRelay::api_resource().kind, Collector::api_resource().kind];
    if of_our_group && !kinds.iter().any(|one| one == kind) {
        return Some(format!("kind {kind:?} is not known; there are {}", kinds.join(", ")));
    }
    None
}

fn name_of(document: &Value) -> String {
    document["metadata"]["name"].as_str().unwrap_or("(without a name)").to_owned()
}

fn check_root(document: &Value, problems: &mut Problems) {
    let fields = document.as_object().into_iter().flatten();
    for (name, _) in fields {
        // The status is the operator's; a file may hold it when it came from an API server.
        if !["apiVersion", "kind", "metadata", "spec", "status"].contains(&name.as_str()) {
            problems
                .add(FieldPath::of(name), "unknown field; known fields are apiVersion, kind, metadata, spec");
        }
    }
}

#[cfg(test)]
mod tests;
