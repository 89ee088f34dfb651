//! Larger volumes. A StatefulSet never changes its claim template, so its claims are made larger one by one, and
//! it is made anew around its running pods.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PropagationPolicy};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tracing::info;

use crate::apply::delete;
use crate::child::Child;
use crate::covers::covers;
use crate::error::Error;
use crate::meta::{MANAGER, Owner};

const TEMPLATE: &str = "/spec/volumeClaimTemplates/0/spec/resources/requests/storage";

/// Whether the claims of a StatefulSet are other than they should be.
pub fn is_needed(live: &DynamicObject, wanted: &Child) -> bool {
    let Ok(live) = serde_json::to_value(live) else { return false };
    !covers(storage(&live), storage(&wanted.object))
}

/// Asks for larger volumes, for every claim of the resource.
pub async fn claims(client: &Client, owner: &Owner, wanted: &Child) -> Result<(), Error> {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &owner.namespace);
    let size = storage(&wanted.object);
    let list = api.list(&ListParams::default().labels(&owner.pods_selector())).await;
    for claim in list.map_err(Error::api("list claims"))? {
        let asked = serde_json::to_value(&claim).unwrap_or_default();
        if covers(&asked["spec"]["resources"]["requests"]["storage"], size) {
            continue;
        }
        let name = claim.name_any();
        let patch = json!({
            "metadata": { "uid": claim.metadata.uid },
            "spec": { "resources": { "requests": { "storage": size } } },
        });
        let parameters = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        api.patch(&name, &parameters, &Patch::Merge(&patch))
            .await
            .map_err(Error::api(format!("make PersistentVolumeClaim {name} larger")))?;
        info!(namespace = owner.namespace, name, %size, "claim made larger");
    }
    Ok(())
}

/// Deletes a StatefulSet and leaves its pods running; the next of the same name adopts them.
pub async fn release(api: &Api<DynamicObject>, live: &DynamicObject) -> Result<(), Error> {
    let name = live.name_any();
    delete(api, &live.metadata, PropagationPolicy::Orphan)
        .await
        .map_err(Error::api(format!("delete StatefulSet {name}")))
}

fn storage(object: &Value) -> &Value {
    object.pointer(TEMPLATE).unwrap_or(&Value::Null)
}
