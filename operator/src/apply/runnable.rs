//! The choice of the spec that runs: the resource's own, or, where that is invalid, the API server refuses its pods, or
//! a Secret is not there that they would need for the first time, the last good one.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::Resource;
use kube::core::NamespaceResourceScope;
use serde::de::DeserializeOwned;
use visnyk_crds::Problem;
use visnyk_crds::valid::SecretRef;

use crate::apply::{Writer, try_out};
use crate::children::child::Child;
use crate::children::manifest_in;
use crate::cluster::fetch::look_at_secrets;
use crate::cluster::live_children::LiveChildren;
use crate::cluster::references::Reference;
use crate::error::Error;

/// A resource that can run.
pub struct Runnable<K, V> {
    /// The resource whose spec runs.
    pub resource: K,
    /// The validated spec of the resource.
    pub valid: V,
}

/// Reason that a resource's own spec does not run.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The spec is not valid.
    Invalid(Vec<Problem>),
    /// The API server refuses the workload, with this reason.
    Refused(String),
}

/// Spec that runs, if any can, and the fault of the resource's own spec if that one does not run.
pub type Judged<K, V> = (Option<Runnable<K, V>>, Option<Fault>);

/// Rules by which the resources of a kind are judged.
pub struct Rules<K, V> {
    /// Function that validates a spec.
    pub validate: fn(&K) -> Result<V, Vec<Problem>>,
    /// The user's Secrets that its pods read.
    pub secrets: fn(&V) -> BTreeSet<SecretRef>,
    /// Every object that a reconcile reads and that is no child.
    pub references: fn(&V) -> BTreeSet<Reference>,
    /// Copies into the last good resource, the first, the fields that are taken even from a faulty one.
    pub take_over: fn(&mut K, &K),
}

/// Judges a resource by itself.
pub async fn judge<K, V>(
    resource: &K,
    live: &LiveChildren<'_>,
    rules: &Rules<K, V>,
) -> Result<Judged<K, V>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned,
{
    match (rules.validate)(resource) {
        Ok(valid) => Ok((Some(Runnable { resource: resource.clone(), valid }), None)),
        Err(problems) => Ok((last_good(resource, live, rules).await?, Some(Fault::Invalid(problems)))),
    }
}

/// Decision which spec runs, and the reasons if it is not the resource's own.
pub struct Verdict<K, V> {
    /// Resource that runs, if any can.
    pub runnable: Option<Runnable<K, V>>,
    /// Fault of the resource's own spec, if that one does not run.
    pub fault: Option<Fault>,
    /// The user's Secrets that are referred to and not there.
    pub missing: BTreeSet<String>,
    /// Missing Secrets that keep the resource's own spec from running.
    pub awaited: BTreeSet<String>,
}

/// Judges a resource before anything of it is written, with the API server's word on its workload: a spec whose pods
/// are refused must not become the last good one. Notes what it and the rest of the reconcile read.
pub async fn judge_with_pods<K, V>(
    resource: &K,
    live: &LiveChildren<'_>,
    rules: &Rules<K, V>,
    writer: &Writer,
    workload: impl Fn(&Runnable<K, V>) -> Result<Child, Error>,
) -> Result<Verdict<K, V>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned,
{
    let judged = judge(resource, live, rules).await?;
    let (Some(own), None) = judged else { return settle(judged, live, rules).await };
    let missing = look(live, rules, &[&own.valid]).await?;
    if !missing.is_empty()
        && let Some(last) = last_good(resource, live, rules).await?
    {
        let known = names((rules.secrets)(&last.valid));
        let awaited: BTreeSet<String> = missing.difference(&known).cloned().collect();
        if !awaited.is_empty() {
            let of_last = look(live, rules, &[&last.valid, &own.valid]).await?;
            // Such a Secret may have come just now: the next reconcile, which hears of it, takes the spec over.
            let missing = of_last.into_iter().filter(|name| known.contains(name)).chain(awaited.clone());
            return Ok(Verdict { runnable: Some(last), fault: None, missing: missing.collect(), awaited });
        }
    }
    match live.told(try_out(live, writer, &workload(&own)?).await)? {
        Ok(None) => Ok(Verdict { runnable: Some(own), fault: None, missing, awaited: BTreeSet::new() }),
        Ok(Some(why)) | Err(why) => {
            let last = last_good(resource, live, rules).await?;
            settle((last, Some(Fault::Refused(why))), live, rules).await
        }
    }
}

/// Completes the decision where the resource's own spec does not run.
async fn settle<K, V>(
    (runnable, fault): Judged<K, V>,
    live: &LiveChildren<'_>,
    rules: &Rules<K, V>,
) -> Result<Verdict<K, V>, Error> {
    let missing = match &runnable {
        Some(runnable) => look(live, rules, &[&runnable.valid]).await?,
        None => BTreeSet::new(),
    };
    Ok(Verdict { runnable, fault, missing, awaited: BTreeSet::new() })
}

/// Records the objects that these specs refer to, finds their missing Secrets, and records which have changed.
async fn look<K, V>(
    live: &LiveChildren<'_>,
    rules: &Rules<K, V>,
    specs: &[&V],
) -> Result<BTreeSet<String>, Error> {
    let LiveChildren { cluster, owner, .. } = live;
    cluster.references.note(&owner.key(), specs.iter().flat_map(|valid| (rules.references)(valid)).collect());
    let secrets = specs.iter().flat_map(|valid| (rules.secrets)(valid)).collect();
    let (missing, versions) = look_at_secrets(&cluster.client, &owner.namespace, &names(secrets)).await?;
    cluster.secret_changes.note(&owner.key(), versions, Timestamp::now());
    Ok(missing)
}

fn names(secrets: BTreeSet<SecretRef>) -> BTreeSet<String> {
    secrets.into_iter().map(|secret| secret.name).collect()
}

/// Reads the spec that the pods were last given.
async fn last_good<K, V>(
    resource: &K,
    live: &LiveChildren<'_>,
    rules: &Rules<K, V>,
) -> Result<Option<Runnable<K, V>>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned,
{
    let map = live.config_map(&live.owner.base()).await?;
    let last =
        map.as_ref().and_then(manifest_in).and_then(|manifest| serde_yaml::from_str::<K>(manifest).ok());
    Ok(last.and_then(|mut last| {
        last.meta_mut().generation = resource.meta().generation;
        (rules.take_over)(&mut last, resource);
        let valid = (rules.validate)(&last).ok()?;
        Some(Runnable { resource: last, valid })
    }))
}
