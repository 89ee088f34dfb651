//! Makes the `CustomResourceDefinition` that is published from the derived types.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

/// Fields of a `spec` whose default an API server stores in each object. Every other default is the program's own: it may
/// change with a release, and then changes for existing objects too.
///
/// | field | reason |
/// |---|---|
/// | `listener.port` | The operator and the pods, perhaps of another version, must agree on it. |
/// | `replicas` | The scale subresource needs a number. |
/// | `storage` | A volume keeps its size and its kind; the schema compares both with the old ones. |
const STORED_DEFAULTS: &[&str] = &["/listener/port", "/replicas", "/storage"];

/// Returns the definition of a kind.
///
/// It differs from the derived one in three ways. No field is `nullable`, so an API server treats a null like an absent
/// field, as this crate does. The integers' Rust formats, which Kubernetes does not know, are removed; their bounds
/// are enough. It has no defaults but `STORED_DEFAULTS`.
///
/// # Panics
/// If the derived definition is no longer one after that; a test generates both.
pub fn definition<K: CustomResourceExt>() -> CustomResourceDefinition {
    let mut value = tidied::<K>();
    if let Some(spec) = value.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec") {
        let stored: Vec<String> =
            STORED_DEFAULTS.iter().map(|path| path.replace('/', "/properties/")).collect();
        let kept = stored.iter().filter_map(|path| spec.pointer(path).map(|field| (path, field.clone())));
        let kept: Vec<(&String, Value)> = kept.collect();
        remove_defaults(spec);
        for (path, field) in kept {
            if let Some(place) = spec.pointer_mut(path) {
                *place = field;
            }
        }
    }
    serde_json::from_value(value).expect("a tidied definition is a definition")
}

/// Returns the schema of a kind's `spec` with every default, the program's own included.
pub fn spec_schema_with_defaults<K: CustomResourceExt>() -> Value {
    spec_of(tidied::<K>())
}

/// Returns the derived definition without the keywords that are not published.
fn tidied<K: CustomResourceExt>() -> Value {
    let mut value = serde_json::to_value(K::crd()).expect("a definition is JSON");
    if let Some(schema) = value.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        tidy(schema);
    }
    value
}

/// Returns the schema of a kind's `spec`. It is derived once and kept, because that takes far longer than any use of
/// it.
pub fn spec_schema<K: CustomResourceExt>() -> &'static Value {
    static DERIVED: Mutex<BTreeMap<&str, &Value>> = Mutex::new(BTreeMap::new());
    let mut derived = DERIVED.lock().unwrap_or_else(PoisonError::into_inner);
    derived.entry(K::crd_name()).or_insert_with(|| {
        Box::leak(Box::new(spec_of(serde_json::to_value(definition::<K>()).unwrap_or_default())))
    })
}

fn spec_of(mut definition: Value) -> Value {
    let spec = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec");
    spec.map(Value::take).unwrap_or_default()
}

fn remove_defaults(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    schema.remove("default");
    for of_each in ["items", "additionalProperties"] {
        if let Some(schema) = schema.get_mut(of_each) {
            remove_defaults(schema);
        }
    }
    for property in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        remove_defaults(property.1);
    }
}

fn tidy(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    for keyword in ["nullable", "format", "title"] {
        schema.remove(keyword);
    }
    if let Some(description) = schema.get("description").and_then(|d| d.as_str().map(one_line)) {
        schema.insert("description".into(), description.into());
    }
    for of_each in ["items", "additionalProperties"] {
        if let Some(schema) = schema.get_mut(of_each) {
            tidy(schema);
        }
    }
    for property in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        tidy(property.1);
    }
}

/// Joins the lines of each paragraph: line breaks of the source mean nothing to a reader of the schema.
fn one_line(description: &str) -> String {
    let paragraphs = description.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}
