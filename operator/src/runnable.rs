//! Which spec of a resource runs: its own, or, where that is invalid or the API server refuses its pods, the last good
//! one.

use kube::Resource;
use kube::core::NamespaceResourceScope;
use serde::de::DeserializeOwned;
use visnyk_crds::Problem;

use crate::apply::try_out;
use crate::build::manifest_in;
use crate::child::Child;
use crate::error::Error;
use crate::present::Present;

/// A resource that can run.
pub struct Runnable<K, V> {
    /// As it is to run.
    pub resource: K,
    /// Proof that it can.
    pub valid: V,
}

/// Why a resource's own spec does not run.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// It is not valid.
    Invalid(Vec<Problem>),
    /// The API server takes no such workload, and says why.
    Refused(String),
}

/// What runs, if anything can, and what is wrong with the resource's own spec if that does not.
pub type Judged<K, V> = (Option<Runnable<K, V>>, Option<Fault>);

/// By what the resources of a kind are judged.
pub struct Rules<K, V> {
    /// Whether a spec is valid.
    pub validate: fn(&K) -> Result<V, Vec<Problem>>,
    /// Changes the last good one, the first, by what is taken from a faulty one all the same.
    pub take_over: fn(&mut K, &K),
}

/// Judges a resource by itself.
pub async fn judge<K, V>(
    resource: &K,
    present: &Present<'_>,
    rules: &Rules<K, V>,
) -> Result<Judged<K, V>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned,
{
    match (rules.validate)(resource) {
        Ok(valid) => Ok((Some(Runnable { resource: resource.clone(), valid }), None)),
        Err(problems) => Ok((last_good(resource, present, rules).await?, Some(Fault::Invalid(problems)))),
    }
}

/// Judges a resource before anything of it is written, with the API server's word on its workload: a spec whose pods
/// are refused must not become the last good one.
pub async fn judge_with_pods<K, V>(
    resource: &K,
    present: &Present<'_>,
    rules: &Rules<K, V>,
    workload: impl Fn(&Runnable<K, V>) -> Result<Child, Error>,
) -> Result<Judged<K, V>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned,
{
    let judged = judge(resource, present, rules).await?;
    let (Some(own), None) = &judged else { return Ok(judged) };
    let wanted = workload(own)?;
    match present.told(try_out(present, &wanted).await)? {
        Ok(None) => Ok(judged),
        Ok(Some(why)) | Err(why) => Ok((last_good(resource, present, rules).await?, Some(Fault::Refused(why)))),
    }
}

/// The spec that the pods were last given.
async fn last_good<K, V>(
    resource: &K,
    present: &Present<'_>,
    rules: &Rules<K, V>,
) -> Result<Option<Runnable<K, V>>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned,
{
    let map = present.config_map(&present.owner.base()).await?;
    let last =
        map.as_ref().and_then(manifest_in).and_then(|manifest| serde_yaml::from_str::<K>(manifest).ok());
    Ok(last.and_then(|mut last| {
        last.meta_mut().generation = resource.meta().generation;
        (rules.take_over)(&mut last, resource);
        let valid = (rules.validate)(&last).ok()?;
        Some(Runnable { resource: last, valid })
    }))
}
