//! The ConfigMap: the resource itself, which is the file that the pods run by.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::CustomResourceExt;
use serde::Serialize;
use serde_json::json;
use visnyk_crds::contract::paths;

use super::Workload;
use crate::children::child::{Child, Kind};
use crate::children::meta::Owner;

/// Returns the resource as a file: its spec with all defaults. The generation is left out, since it changes with things
/// that are not the pods' business.
pub fn manifest<K: CustomResourceExt>(
    owner: &Owner,
    spec: &impl Serialize,
) -> Result<String, serde_yaml::Error> {
    let resource = K::api_resource();
    serde_yaml::to_string(&json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": { "name": owner.name, "namespace": owner.namespace },
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
