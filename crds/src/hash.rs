//! The hash by which a pod reports the configuration it runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::problem::FieldPath;

/// Schema extension of a field that only the operator reads. Such a field does not change the configuration of a pod.
/// The published definitions do not have it.
const OPERATOR_ONLY: &str = "x-visnyk-operator-only";

/// Path of a field: names from the spec inwards.
type Path = Vec<String>;

/// Returns the hexadecimal SHA-256 of the spec as JSON with sorted keys, with defaults and without the fields that
/// only the operator reads.
pub(crate) fn configuration_hash<S: Serialize + JsonSchema>(spec: &S) -> String {
    let mut value = serde_json::to_value(spec).unwrap_or_default();
    for path in operator_only::<S>() {
        remove(&mut value, path);
    }
    value.sort_all_objects();
    format!("{:x}", Sha256::digest(value.to_string()))
}

/// Returns the hash of a spec with further fields, which only a newer version knows: `known`, the hash without them, where
/// there are none, or none that a pod may read.
pub(crate) fn hash_with<S: JsonSchema>(known: &str, further: &[(FieldPath, &Value)]) -> String {
    let spec = FieldPath::of("spec");
    let inner = |path: &Path| path.iter().fold(spec.clone(), |place, name| place.field(name));
    let operators: Vec<FieldPath> = operator_only::<S>().iter().map(inner).collect();
    let mut read =
        further.iter().filter(|(place, _)| !operators.iter().any(|one| place.is_within(one))).peekable();
    if read.peek().is_none() {
        return known.to_owned();
    }
    let mut hash = Sha256::new().chain_update(known);
    for (place, value) in read {
        let mut value = (*value).clone();
        value.sort_all_objects();
        hash.update(format!("\n{place}: {value}"));
    }
    format!("{:x}", hash.finalize())
}

/// Returns the paths of a spec's fields that are marked with [`OPERATOR_ONLY`]. They are derived once and kept.
fn operator_only<S: JsonSchema>() -> &'static [Path] {
    static DERIVED: Mutex<BTreeMap<String, &[Path]>> = Mutex::new(BTreeMap::new());
    let mut derived = DERIVED.lock().unwrap_or_else(PoisonError::into_inner);
    derived.entry(S::schema_name().into_owned()).or_insert_with(|| {
        let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
        let schema = settings.into_generator().into_root_schema_for::<S>();
        let mut paths = Vec::new();
        find_marks(schema.as_value(), &Path::new(), &mut paths);
        paths.leak()
    })
}

fn find_marks(schema: &Value, at: &Path, marked: &mut Vec<Path>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = [at.as_slice(), std::slice::from_ref(name)].concat();
        if field[OPERATOR_ONLY] == true {
            marked.push(path);
        } else {
            find_marks(field, &path, marked);
        }
    }
}

fn remove(value: &mut Value, path: &[String]) {
    let (Some(fields), Some((first, rest))) = (value.as_object_mut(), path.split_first()) else { return };
    if rest.is_empty() {
        fields.remove(first);
    } else if let Some(inner) = fields.get_mut(first) {
        remove(inner, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{CollectorSpec, WebhookRelaySpec};

    #[test]
    fn fields_that_only_the_operator_reads_are_those_that_are_marked() {
        let paths = |paths: &[Path]| paths.iter().map(|path| path.join(".")).collect::<Vec<_>>();
        let certificate =
            ["dnsNames", "issuerRef", "serviceNames"].map(|name| format!("listener.tls.certManager.{name}"));
        let certificate = certificate.each_ref().map(|path| &path[..]);
        let relay = ["monitoring", "pod", "replicas", "service"];
        let spool = ["spool.drainTimeout", "spool.onDelete", "spool.persistent.storageClassName"];
        let expected = [&["autoscaling", "httpRoute", "ingress"][..], &certificate, &relay, &spool].concat();
        assert_eq!(paths(operator_only::<WebhookRelaySpec>()), expected);
        let collector = ["monitoring", "pod", "service", "storage"];
        assert_eq!(
            paths(operator_only::<CollectorSpec>()),
            [&["httpRoute", "ingress"][..], &certificate, &collector].concat()
        );
    }
}
