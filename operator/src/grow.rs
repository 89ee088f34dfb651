//! Larger volumes. A StatefulSet never changes its claim template, so its claims are made larger one by one, and
//! it is made anew around its running pods.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PropagationPolicy};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tracing::info;

use crate::apply::delete;
use crate::child::Child;
use crate::covers::{amount, covers};
use crate::error::Error;
use crate::meta::{MANAGER, Owner};

const TEMPLATE: &str = "/spec/volumeClaimTemplates/0/spec/resources/requests/storage";

/// Whether the claims of a StatefulSet are other than they should be.
pub fn is_needed(live: &DynamicObject, wanted: &Child) -> bool {
    !covers(&template(live), storage(&wanted.object))
}

/// What came of asking for larger volumes.
pub enum Grown {
    /// Every claim asks for that much, or for more.
    All,
    /// The API server does not take it: not of this class, or not yet, since there is no volume.
    Refused {
        /// The least that a claim asks for.
        least: Value,
        /// What was said to that claim.
        why: Error,
    },
}

/// Asks for larger volumes, for every claim of the resource. One that asks for more stays as it is.
pub async fn claims(client: &Client, owner: &Owner, wanted: &Child) -> Result<Grown, Error> {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &owner.namespace);
    let size = storage(&wanted.object);
    let list = api.list(&ListParams::default().labels(&owner.pods_selector())).await;
    let mut refused: Vec<(Value, Error)> = Vec::new();
    for claim in list.map_err(Error::api("list claims"))? {
        let asked = request(&claim);
        let is_going = claim.metadata.deletion_timestamp.is_some();
        if is_going || owner.replica_of(&claim.metadata).is_none() || amount(&asked) >= amount(size) {
            continue;
        }
        match enlarge(&api, &claim, size).await {
            Ok(()) => info!(namespace = owner.namespace, name = claim.name_any(), %size, "claim made larger"),
            Err(error) if error.refusal().is_some() => refused.push((asked, error)),
            Err(error) => return Err(error),
        }
    }
    let least = refused.into_iter().min_by_key(|(asked, _)| amount(asked));
    Ok(least.map_or(Grown::All, |(least, why)| Grown::Refused { least, why }))
}

async fn enlarge(
    api: &Api<PersistentVolumeClaim>,
    claim: &PersistentVolumeClaim,
    size: &Value,
) -> Result<(), Error> {
    let name = claim.name_any();
    let patch = json!({
        "metadata": { "uid": claim.metadata.uid },
        "spec": { "resources": { "requests": { "storage": size } } },
    });
    let parameters = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
    let patched = api.patch(&name, &parameters, &Patch::Merge(&patch)).await;
    patched.map_err(Error::api(format!("make PersistentVolumeClaim {name} larger")))?;
    Ok(())
}

/// The wish for a StatefulSet with claims of this size, which stays another than the wish until they have grown.
pub fn with_claims_of(size: &Value, owner: &Owner, wanted: &Child) -> Child {
    let mut object = wanted.object.clone();
    if let Some(asked) = object.pointer_mut(TEMPLATE) {
        asked.clone_from(size);
    }
    Child::new(owner, wanted.kind, &wanted.name, object)
}

/// What the claims of a StatefulSet ask for.
pub fn template(live: &DynamicObject) -> Value {
    live.data.pointer(TEMPLATE).cloned().unwrap_or_default()
}

/// Deletes a StatefulSet and leaves its pods running; the next of the same name adopts them.
pub async fn release(api: &Api<DynamicObject>, live: &DynamicObject) -> Result<(), Error> {
    let name = live.name_any();
    delete(api, &live.metadata, PropagationPolicy::Orphan)
        .await
        .map_err(Error::api(format!("delete StatefulSet {name}")))
}

fn request(claim: &PersistentVolumeClaim) -> Value {
    let claim = serde_json::to_value(claim).unwrap_or_default();
    claim["spec"]["resources"]["requests"]["storage"].clone()
}

fn storage(object: &Value) -> &Value {
    object.pointer(TEMPLATE).unwrap_or(&Value::Null)
}
