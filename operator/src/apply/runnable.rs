//! The choice of the spec that runs: the resource's own, or, where that is invalid, the API server refuses its pods, or
//! something is not there that they would need for the first time, the last good one.

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
use crate::cluster::references::{Receiver, Reference};
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
    /// Receivers that its destinations refer to.
    pub receivers: fn(&V) -> BTreeSet<Receiver>,
    /// Returns whether its pods run, so that there is something to keep running.
    pub runs: fn(&K) -> bool,
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
    /// The user's Secrets that the spec that runs refers to, and that are not there.
    pub missing: BTreeSet<String>,
    /// Objects that the resource's own spec refers to for the first time, and that keep it from running.
    pub awaited: BTreeSet<Awaited>,
}

/// An object, or a part of one, that is not there, and without which a new spec does not replace the one that runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Awaited {
    /// A user's Secret does not exist.
    Secret(String),
    /// A user's Secret has no such key.
    Key(SecretRef),
    /// A receiver of events cannot be resolved.
    Receiver(Unresolved),
}

/// A receiver of events to which nothing can be delivered yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unresolved {
    /// The receiver.
    pub receiver: Receiver,
    /// Reason of the condition.
    pub reason: &'static str,
    /// Message of the condition: the object, and what to do.
    pub message: String,
}

/// Judges a resource before anything of it is written, with the API server's word on its workload: a spec whose pods
/// are refused must not become the last good one. `judged` is what it is by itself, `unresolved` are the receivers that
/// its own spec refers to in vain. Notes what it and the rest of the reconcile read.
pub async fn judge_with_pods<K, V>(
    resource: &K,
    judged: Judged<K, V>,
    unresolved: Vec<Unresolved>,
    live: &LiveChildren<'_>,
    rules: &Rules<K, V>,
    writer: &Writer,
    workload: impl Fn(&Runnable<K, V>) -> Result<Child, Error>,
) -> Result<Verdict<K, V>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned,
{
    let (Some(own), None) = judged else { return settle(judged, live, rules).await };
    let secrets = look(live, rules, &[&own.valid]).await?;
    let is_whole = secrets.absent.is_empty() && unresolved.is_empty();
    if !is_whole
        && (rules.runs)(resource)
        && let Some(last) = last_good(resource, live, rules).await?
    {
        let awaited = awaited(&secrets, unresolved, &last.valid, rules);
        if !awaited.is_empty() {
            // What is awaited may have come just now: the next reconcile, which hears of it, takes the spec over.
            let missing = look(live, rules, &[&last.valid, &own.valid]).await?.missing;
            let known = names((rules.secrets)(&last.valid));
            let missing = missing.intersection(&known).cloned().collect();
            return Ok(Verdict { runnable: Some(last), fault: None, missing, awaited });
        }
    }
    match live.told(try_out(live, writer, &workload(&own)?).await)? {
        Ok(None) => {
            let Secrets { missing, .. } = secrets;
            Ok(Verdict { runnable: Some(own), fault: None, missing, awaited: BTreeSet::new() })
        }
        Ok(Some(why)) | Err(why) => {
            let last = last_good(resource, live, rules).await?;
            settle((last, Some(Fault::Refused(why))), live, rules).await
        }
    }
}

/// Returns what a spec refers to in vain, and the last good one does not.
fn awaited<K, V>(
    secrets: &Secrets,
    unresolved: Vec<Unresolved>,
    last: &V,
    rules: &Rules<K, V>,
) -> BTreeSet<Awaited> {
    let (refs, receivers) = ((rules.secrets)(last), (rules.receivers)(last));
    let new = secrets.absent.difference(&refs).cloned();
    let of_secrets = new.map(|absent| {
        if secrets.missing.contains(&absent.name) {
            Awaited::Secret(absent.name)
        } else {
            Awaited::Key(absent)
        }
    });
    let of_receivers = unresolved.into_iter().filter(|one| !receivers.contains(&one.receiver));
    of_secrets.chain(of_receivers.map(Awaited::Receiver)).collect()
}

/// Completes the decision where the resource's own spec does not run.
async fn settle<K, V>(
    (runnable, fault): Judged<K, V>,
    live: &LiveChildren<'_>,
    rules: &Rules<K, V>,
) -> Result<Verdict<K, V>, Error> {
    let missing = match &runnable {
        Some(runnable) => look(live, rules, &[&runnable.valid]).await?.missing,
        None => BTreeSet::new(),
    };
    Ok(Verdict { runnable, fault, missing, awaited: BTreeSet::new() })
}

/// Records the objects that these specs refer to, so that the resource hears of later changes.
pub fn note<K, V>(live: &LiveChildren<'_>, rules: &Rules<K, V>, specs: &[&V]) {
    let all = specs.iter().flat_map(|valid| (rules.references)(valid)).collect();
    live.cluster.references.note(&live.owner.key(), all);
}

/// The user's Secrets that specs refer to, as far as they are not there.
struct Secrets {
    /// Names of those that do not exist.
    missing: BTreeSet<String>,
    /// Keys that are not there, with the Secret or without it. A Secret whose keys are not known has all.
    absent: BTreeSet<SecretRef>,
}

/// Records the objects that these specs refer to, finds their missing Secrets, and records which have changed.
async fn look<K, V>(live: &LiveChildren<'_>, rules: &Rules<K, V>, specs: &[&V]) -> Result<Secrets, Error> {
    note(live, rules, specs);
    let LiveChildren { cluster, owner, .. } = live;
    let refs: BTreeSet<SecretRef> = specs.iter().flat_map(|valid| (rules.secrets)(valid)).collect();
    let looked = look_at_secrets(&cluster.client, &owner.namespace, &names(refs.clone())).await?;
    let is_absent = |one: &SecretRef| {
        looked.iter().any(|secret| {
            secret.name == one.name
                && (!secret.exists || secret.keys.as_ref().is_some_and(|keys| !keys.contains(&one.key)))
        })
    };
    let absent = refs.into_iter().filter(is_absent).collect();
    let missing = looked.iter().filter(|secret| !secret.exists).map(|secret| secret.name.clone()).collect();
    let versions = looked.into_iter().map(|secret| secret.version).collect();
    cluster.secret_changes.note(&owner.key(), versions, Timestamp::now());
    Ok(Secrets { missing, absent })
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
