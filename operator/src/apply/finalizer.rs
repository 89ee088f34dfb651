//! Our one finalizer: it keeps a relay whose `spool.onDelete` is `Drain` or `Discard` until its volumes are drained
//! or deleted.

use kube::api::{DynamicObject, ObjectMeta};
use kube::core::{ApiResource, NamespaceResourceScope};
use kube::{Api, Client, Resource};
use serde_json::json;

use crate::apply::patch::{merge_params, merge_patch};
use crate::error::Error;

/// Name of the finalizer.
pub const DRAIN: &str = "visnyk.dev/drain";

/// Returns whether it is on an object.
pub fn is_on(object: &ObjectMeta) -> bool {
    object.finalizers.iter().flatten().any(|one| one == DRAIN)
}

/// Adds the finalizer to an object that was read.
pub async fn put_on<K>(client: &Client, object: &ObjectMeta) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let others = object.finalizers.iter().flatten().cloned();
    write::<K>(client, object, others.chain([DRAIN.to_owned()]).collect()).await
}

/// Removes the finalizer from an object that was read.
pub async fn take_off<K>(client: &Client, object: &ObjectMeta) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let others = object.finalizers.iter().flatten().filter(|one| *one != DRAIN).cloned();
    write::<K>(client, object, others.collect()).await
}

/// Writes the finalizers, with the resource version that was read: a finalizer that another put there meanwhile is not
/// lost.
async fn write<K>(client: &Client, object: &ObjectMeta, finalizers: Vec<String>) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let (namespace, name) = (object.namespace.as_deref().unwrap_or_default(), object.name.as_deref());
    let patch = merge_patch(object, json!({ "metadata": { "finalizers": finalizers } }));
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<K>(&()));
    match api.patch_metadata(name.unwrap_or_default(), &merge_params(), &patch).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(()), // gone
        Err(error) => Err(Error::api(format!("set the finalizers of {}", name.unwrap_or_default()))(error)),
    }
}
