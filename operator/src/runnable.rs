//! Which spec of a resource runs: its own, or, where that is invalid, the last valid one.

use kube::core::NamespaceResourceScope;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use visnyk_crds::Problem;

use crate::error::Error;
use crate::fetch::last_manifest;
use crate::meta::Owner;

/// A resource that can run.
pub struct Runnable<K, V> {
    /// As it is to run.
    pub resource: K,
    /// Proof that it can.
    pub valid: V,
}

/// The resource as it is to run, and what is wrong with its spec if something else runs. `take_over` changes the last
/// valid one by what is taken from an invalid spec all the same.
pub async fn judge<K, V>(
    resource: &K,
    owner: &Owner,
    client: &Client,
    validate: fn(&K) -> Result<V, Vec<Problem>>,
    take_over: impl FnOnce(&mut K),
) -> Result<(Option<Runnable<K, V>>, Vec<Problem>), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned,
{
    let problems = match validate(resource) {
        Ok(valid) => return Ok((Some(Runnable { resource: resource.clone(), valid }), Vec::new())),
        Err(problems) => problems,
    };
    let manifest = last_manifest(client, owner).await?;
    let last = manifest.and_then(|manifest| serde_yaml::from_str::<K>(&manifest).ok());
    let runnable = last.and_then(|mut last| {
        last.meta_mut().generation = resource.meta().generation;
        take_over(&mut last);
        let valid = validate(&last).ok()?;
        Some(Runnable { resource: last, valid })
    });
    Ok((runnable, problems))
}
