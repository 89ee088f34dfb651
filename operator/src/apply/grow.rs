//! Larger volumes, and claims of another class while they have none. A StatefulSet never changes its claim template, so
//! its claims are made larger one by one, and it is made anew around its running pods.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{DynamicObject, ListParams, ObjectMeta, PropagationPolicy};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tracing::info;

use crate::apply::delete;
use crate::apply::patch::{merge_params, merge_patch};
use crate::apply::satisfies::{amount, satisfies};
use crate::children::child::Child;
use crate::children::meta::Owner;
use crate::error::Error;

const TEMPLATE: &str = "/spec/volumeClaimTemplates/0/spec/resources/requests/storage";
const CLASS: &str = "/spec/volumeClaimTemplates/0/spec/storageClassName";

/// Returns whether the claims of a StatefulSet are other than they should be.
pub fn is_needed(live: &DynamicObject, wanted: &Child) -> bool {
    !satisfies(&template(live), storage(&wanted.object)) || is_of_another_class(live, wanted)
}

fn is_of_another_class(live: &DynamicObject, wanted: &Child) -> bool {
    live.data.pointer(CLASS) != wanted.object.pointer(CLASS)
}

/// Result of asking for other claims.
pub enum Grown {
    /// Every claim asks for that size or more, and has that class or is bound.
    All,
    /// Claims that were never bound are being deleted; the StatefulSet makes new ones once they are gone.
    Replacing,
    /// The StatefulSet must stay as it is, because claims have volumes of another class.
    Bound(Error),
    /// The API server refuses the size, for this class or because the claim is not bound yet.
    Refused {
        /// Smallest size that a claim asks for.
        smallest: Value,
        /// Answer of the API server to that claim.
        why: Error,
    },
}

/// Asks for claims of the wanted size and class, for every claim of the resource. One that asks for more stays as it
/// is. One that was never bound holds nothing: where it is not as wanted it is deleted, once no StatefulSet is there
/// (`live`) that would make the same again.
pub async fn claims(
    client: &Client,
    owner: &Owner,
    wanted: &Child,
    live: Option<&DynamicObject>,
) -> Result<Grown, Error> {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &owner.namespace);
    let list = api.list(&ListParams::default().labels(&owner.pods_selector())).await;
    let is_ours = |claim: &PersistentVolumeClaim| {
        claim.metadata.deletion_timestamp.is_none() && owner.replica_of(&claim.metadata).is_some()
    };
    let claims: Vec<_> = list.map_err(Error::api("list claims"))?.items.into_iter().filter(is_ours).collect();
    if live.is_some_and(|live| is_of_another_class(live, wanted))
        && let Some(why) = bound_to_another_class(owner, &claims, wanted)
    {
        return Ok(Grown::Bound(why));
    }
    let (unused, used): (Vec<_>, Vec<_>) = claims.into_iter().partition(|claim| is_unused(claim, wanted));
    if live.is_none() && !unused.is_empty() {
        for claim in unused {
            delete(&api, &claim.metadata, PropagationPolicy::Background)
                .await
                .map_err(Error::api(format!("delete PersistentVolumeClaim {}", claim.name_any())))?;
            info!(namespace = owner.namespace, name = claim.name_any(), "claim deleted that was never bound");
        }
        return Ok(Grown::Replacing);
    }
    enlarge_all(&api, owner, &used, storage(&wanted.object)).await
}

/// Returns whether a claim was never bound and is other than wanted, in a way that only another claim can mend. Never
/// true of a claim that was prepared to be filled or bound in a certain way.
fn is_unused(claim: &PersistentVolumeClaim, wanted: &Child) -> bool {
    let is_bound = || {
        let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
        phase.is_some_and(|phase| phase != "Pending")
    };
    let Some(spec) = &claim.spec else { return false };
    let is_prepared = spec.volume_name.is_some()
        || spec.selector.is_some()
        || spec.data_source.is_some()
        || spec.data_source_ref.is_some();
    let is_as_wanted = has_class(claim, wanted) && amount(&request(claim)) == amount(storage(&wanted.object));
    !is_prepared && !is_bound() && !is_as_wanted
}

/// Returns whether a claim is of the wanted class. Where the cluster's default is wanted, a claim that names a class
/// may be of another.
fn has_class(claim: &PersistentVolumeClaim, wanted: &Child) -> bool {
    let class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    class == wanted.object.pointer(CLASS).and_then(Value::as_str)
}

/// Returns why the class cannot change, where claims of another have their volumes, and what to do about it.
fn bound_to_another_class(owner: &Owner, claims: &[PersistentVolumeClaim], wanted: &Child) -> Option<Error> {
    let bound: Vec<_> =
        claims.iter().filter(|claim| !has_class(claim, wanted) && !is_unused(claim, wanted)).collect();
    let first = bound.first()?;
    let names: Vec<String> = bound.iter().map(|claim| claim.name_any()).collect();
    let pods: Vec<String> = bound
        .iter()
        .filter_map(|claim| Some(format!("{}-{}", owner.base(), owner.replica_of(&claim.metadata)?)))
        .collect();
    let of = first.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref()).unwrap_or("none");
    let to = wanted.object.pointer(CLASS).and_then(Value::as_str).unwrap_or("the cluster's default");
    Some(Error::Unmet(format!(
        "PersistentVolumeClaim {} has a volume of StorageClass {of} and cannot change to {to}: set storageClassName \
         back, or delete the claim and then its pod {}, with all events that are in the volume",
        names.join(", "),
        pods.join(", "),
    )))
}

async fn enlarge_all(
    api: &Api<PersistentVolumeClaim>,
    owner: &Owner,
    claims: &[PersistentVolumeClaim],
    size: &Value,
) -> Result<Grown, Error> {
    let mut refused: Vec<(Value, Error)> = Vec::new();
    for claim in claims {
        let asked = request(claim);
        if amount(&asked) >= amount(size) {
            continue;
        }
        match enlarge(api, claim, size).await {
            Ok(()) => info!(namespace = owner.namespace, name = claim.name_any(), %size, "claim made larger"),
            Err(error) if error.refusal().is_some() => refused.push((asked, error)),
            Err(error) => return Err(error),
        }
    }
    let smallest = refused.into_iter().min_by_key(|(asked, _)| amount(asked));
    Ok(smallest.map_or(Grown::All, |(smallest, why)| Grown::Refused { smallest, why }))
}

async fn enlarge(
    api: &Api<PersistentVolumeClaim>,
    claim: &PersistentVolumeClaim,
    size: &Value,
) -> Result<(), Error> {
    let name = claim.name_any();
    let seen = ObjectMeta { uid: claim.metadata.uid.clone(), ..ObjectMeta::default() };
    let patch = merge_patch(&seen, json!({ "spec": { "resources": { "requests": { "storage": size } } } }));
    let patched = api.patch(&name, &merge_params(), &patch).await;
    patched.map_err(Error::api(format!("make PersistentVolumeClaim {name} larger")))?;
    Ok(())
}

/// Returns the wish for a StatefulSet with claims of this size, which stays another than the wish until they have
/// grown.
pub fn with_claims_of(size: &Value, owner: &Owner, wanted: &Child) -> Child {
    let mut object = wanted.object.clone();
    if let Some(asked) = object.pointer_mut(TEMPLATE) {
        asked.clone_from(size);
    }
    Child::new(owner, wanted.kind, &wanted.name, object)
}

/// Returns the wish for a StatefulSet whose claims stay as they are.
pub fn with_claims_as_before(live: &DynamicObject, owner: &Owner, wanted: &Child) -> Child {
    let mut object = wanted.object.clone();
    object["spec"]["volumeClaimTemplates"] = live.data["spec"]["volumeClaimTemplates"].clone();
    Child::new(owner, wanted.kind, &wanted.name, object)
}

/// Returns the size that the claims of a StatefulSet ask for.
fn template(live: &DynamicObject) -> Value {
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
