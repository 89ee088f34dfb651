//! Merge patches: the one place that makes them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::children::meta::MANAGER;

/// Returns a merge patch with the fields of `body`, for the object that was `seen` and no other: one that was made
/// anew, or, where `seen` has a resource version, changed, is a conflict. Pure.
pub fn merge_patch(seen: &ObjectMeta, mut body: Value) -> Patch<Value> {
    body["metadata"]["uid"] = json!(seen.uid);
    if let Some(version) = &seen.resource_version {
        body["metadata"]["resourceVersion"] = json!(version);
    }
    Patch::Merge(body)
}

/// Returns the parameters of a merge patch by the operator.
pub fn merge_params() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() }
}

/// Returns the parameters of an apply by the operator: what it applies is its own, and has no field that the API server
/// does not know.
pub fn apply_params() -> PatchParams {
    PatchParams::apply(MANAGER).force().validation_strict()
}
