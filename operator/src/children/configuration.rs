//! The ConfigMap: the resource itself, which is the file that the pods run by.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::CustomResourceExt;
use serde_json::{Value, json};
use visnyk_crds::contract::{manifest as annotations, paths};

use super::Workload;
use crate::children::child::{Child, Kind};
use crate::children::meta::Owner;

/// Returns the resource as a file: its spec as the user wrote it, so that pods of another version apply their own
/// defaults and see the fields that only they know. `hash` is what they report once they run it. The generation is left
/// out, since it changes with things that are not the pods' business.
pub fn manifest<K: CustomResourceExt>(
    owner: &Owner,
    spec: &Value,
    hash: &str,
) -> Result<String, serde_yaml::Error> {
    let resource = K::api_resource();
    let annotations = json!({
        annotations::OPERATOR_VERSION: env!("CARGO_PKG_VERSION"),
        annotations::CONFIGURATION_HASH: hash,
    });
    serde_yaml::to_string(&json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": { "name": owner.name, "namespace": owner.namespace, "annotations": annotations },
        "spec": spec,
    }))
}

/// Returns the manifest that a ConfigMap of ours holds.
pub fn manifest_in(map: &ConfigMap) -> Option<&str> {
    Some(map.data.as_ref()?.get(paths::MANIFEST)?)
}

/// Returns the ConfigMap with the manifest.
pub fn configuration(workload: &Workload<'_>) -> Child {
    let body = json!({ "data": { paths::MANIFEST: workload.manifest } });
    Child::new(workload.owner, Kind::ConfigMap, workload.owner.base(), body)
}
