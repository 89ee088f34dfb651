//! Makes the children what they should be: the only place that writes them. Nothing is written that is so
//! already, and nothing is touched that another made.

pub mod claim;
pub mod exclusive;
pub mod finalizer;
pub mod grow;
pub mod patch;
pub mod roll_out;
pub mod runnable;
pub mod satisfies;

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

use futures::future::join_all;
use kube::api::{
    DeleteParams, DynamicObject, ObjectMeta, Patch, PatchParams, Preconditions, PropagationPolicy,
};
use kube::{Api, Client, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::info;

use crate::apply::grow::Grown;
use crate::apply::patch::{apply_params, merge_params, merge_patch};
use crate::apply::satisfies::satisfies;
use crate::children::child::{Child, Kind, Target};
use crate::children::meta::Owner;
use crate::cluster::Cluster;
use crate::cluster::live_children::{Existing, LiveChildren};
use crate::cluster::watched::Watched;
use crate::error::Error;
use crate::process::events::Events;

/// Result of an apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Every child is as wanted.
    Done,
    /// Objects of others have these names. Nothing was written.
    NameConflict {
        /// Kind and name of each.
        names: Vec<String>,
        /// True if each of them is an orphan, which the resource may adopt.
        are_orphans: bool,
    },
    /// The API server refused some writes, with this reason. Every other child is as wanted.
    Refused(String),
}

impl Applied {
    /// Adds something else that was refused.
    pub fn and_refused(self, further: Option<String>) -> Self {
        match (self, further) {
            (applied, None) => applied,
            (Self::Refused(why), Some(further)) => Self::Refused(format!("{why}; {further}")),
            (Self::Done, Some(further)) => Self::Refused(further),
            (conflict @ Self::NameConflict { .. }, Some(_)) => conflict,
        }
    }
}

/// Children that were seen to be as wanted, by resource version and wanted state. They are not compared again.
#[derive(Debug, Default)]
pub struct Verified(Mutex<HashMap<ChildKey, Met>>);

/// Kind, namespace and name of a child.
type ChildKey = (Kind, String, String);
/// Resource version of a child, and the wanted state that it met.
type Met = (String, String);

/// The parts that every write of a controller works with.
pub struct Writer {
    /// Children that were seen to be as wanted.
    pub verified: Verified,
    /// Publisher of Kubernetes Events.
    pub events: Events,
}

/// Makes the children of a resource these, and no others.
pub async fn apply(live: &LiveChildren<'_>, writer: &Writer, children: &[Child]) -> Result<Applied, Error> {
    Ok(live.told(carry_out(live, writer, children, Phase::Lasting).await)?.unwrap_or_else(Applied::Refused))
}

/// Applies them for an owner that is being deleted: of missing children only Jobs are made, and nothing is deleted.
pub async fn keep_up(live: &LiveChildren<'_>, writer: &Writer, children: &[Child]) -> Result<Applied, Error> {
    Ok(live.told(carry_out(live, writer, children, Phase::Ending).await)?.unwrap_or_else(Applied::Refused))
}

/// Lifecycle of the owner.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Lasting,
    Ending,
}

async fn carry_out(
    live: &LiveChildren<'_>,
    writer: &Writer,
    children: &[Child],
    phase: Phase,
) -> Result<Applied, Error> {
    let applier = Applier::of(live, writer);
    let Applier { watched, verified, owner, .. } = applier;
    verified.tidy(watched);
    let unsure: Vec<&Child> =
        children.iter().filter(|child| !verified.holds(watched, owner, child)).collect();
    let looked = join_all(unsure.iter().map(|child| live.under(child.kind, &child.name))).await;
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    for (child, looked) in unsure.into_iter().zip(looked) {
        match live.told(looked)? {
            Ok(stands) => found.push((child, stands)),
            Err(why) => refused.push(why),
        }
    }
    let is_taken = |stands: &Existing| matches!(stands, Existing::Foreign | Existing::Orphan);
    let taken = || found.iter().filter(|(_, stands)| is_taken(stands));
    let names: Vec<String> =
        taken().map(|(child, _)| format!("{} {}", child.kind.gvk().kind, child.name)).collect();
    if !names.is_empty() {
        let are_orphans = taken().all(|(_, stands)| matches!(stands, Existing::Orphan));
        return Ok(Applied::NameConflict { names, are_orphans });
    }
    if found.iter().any(|(_, stands)| matches!(stands, Existing::Nothing)) {
        applier.check_owner(phase).await?;
    }
    for (child, stands) in &found {
        refused.extend(live.told(applier.ensure(child, stands, phase).await)?.err());
    }
    if phase == Phase::Lasting {
        refused.extend(live.told(applier.prune(children).await)?.err());
    }
    Ok(if refused.is_empty() { Applied::Done } else { Applied::Refused(refused.join("; ")) })
}

/// Returns why the API server would not take this workload, if it is to change. Leaves the claims of a StatefulSet as
/// they are. A dry run: changes nothing.
pub async fn try_out(
    live: &LiveChildren<'_>,
    writer: &Writer,
    workload: &Child,
) -> Result<Option<String>, Error> {
    let applier = Applier::of(live, writer);
    if applier.verified.holds(applier.watched, applier.owner, workload) {
        return Ok(None);
    }
    let mut tried = workload.clone();
    let found = live.under(workload.kind, &workload.name).await?;
    let seen = match &found {
        Existing::Foreign | Existing::Orphan => return Ok(None),
        Existing::Nothing => {
            applier.check_owner(Phase::Lasting).await?;
            Target::Nothing
        }
        Existing::Ours(live) if live.metadata.deletion_timestamp.is_some() => return Ok(None),
        Existing::Ours(live) => {
            if let Some(claims) = live.data.pointer(CLAIMS) {
                tried.object["spec"]["volumeClaimTemplates"].clone_from(claims);
            }
            if satisfies(&live.data["spec"], &tried.object["spec"]) {
                return Ok(None);
            }
            Target::of(live)
        }
    };
    let dry_run = PatchParams { dry_run: true, ..apply_params() };
    Ok(live.told(applier.patch(&tried, seen, &dry_run).await)?.err())
}

/// Path of the claim templates in a StatefulSet.
const CLAIMS: &str = "/spec/volumeClaimTemplates";

struct Applier<'a> {
    client: &'a Client,
    watched: &'a Watched,
    verified: &'a Verified,
    events: &'a Events,
    owner: &'a Owner,
}

impl<'a> Applier<'a> {
    fn of(live: &LiveChildren<'a>, writer: &'a Writer) -> Self {
        let (Cluster { client, watched, .. }, Writer { verified, events }) = (live.cluster, writer);
        Self { client, watched, verified, events, owner: live.owner }
    }

    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        api(self.client, self.owner, kind)
    }

    /// Asks the API server itself, before anything is made. What is watched may be late, and a child of a resource
    /// that is gone would be deleted again, which is one more reason to make it.
    async fn check_owner(&self, phase: Phase) -> Result<(), Error> {
        let (owner, resource) = (self.owner, self.owner.role.resource());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &owner.namespace, &resource);
        let found = api.get_metadata_opt(&owner.name).await;
        let found = found.map_err(Error::api(format!("read {} {}", owner.role.kind(), owner.name)))?;
        let stays = found.is_some_and(|found| {
            let is_leaving = found.metadata.deletion_timestamp.is_some();
            found.metadata.uid.as_ref() == Some(&owner.uid) && (phase == Phase::Ending || !is_leaving)
        });
        if stays { Ok(()) } else { Err(Error::Gone(format!("{} {}", owner.role.kind(), owner.name))) }
    }

    async fn ensure(&self, child: &Child, found: &Existing, phase: Phase) -> Result<(), Error> {
        match found.ours() {
            None if phase == Phase::Ending && child.kind != Kind::Job => Ok(()),
            None if child.kind == Kind::StatefulSet => self.grow(child, None).await,
            None => self.write(child, Target::Nothing).await,
            Some(ours) if child.kind == Kind::StatefulSet && grow::is_needed(ours, child) => {
                self.grow(child, Some(ours)).await
            }
            Some(ours) if child.kind == Kind::Job => self.correct(&child.with_pods_of(ours), ours).await,
            Some(ours) => self.correct(child, ours).await,
        }
    }

    /// Makes a StatefulSet, if need be anew, around volumes of the size that is wanted: it may find some. Around
    /// those that there are where they cannot be that large, which is then all that is not as it should be.
    async fn grow(&self, child: &Child, ours: Option<&DynamicObject>) -> Result<(), Error> {
        if ours.is_some_and(|ours| ours.metadata.deletion_timestamp.is_some()) {
            return Ok(()); // made again once it is gone, which is an event
        }
        let as_before = |ours: &DynamicObject| grow::with_claims_as_before(ours, self.owner, child);
        match (grow::claims(self.client, self.owner, child, ours).await?, ours) {
            (Grown::All, None) => self.write(child, Target::Nothing).await,
            (Grown::All | Grown::Replacing, Some(ours)) => grow::release(&self.api(child.kind), ours).await,
            (Grown::Replacing, None) => Ok(()), // made once they are gone, which is an event
            (Grown::Refused { smallest, why }, None) => {
                self.write(&grow::with_claims_of(&smallest, self.owner, child), Target::Nothing).await?;
                Err(why)
            }
            (Grown::Bound(why), None) => Err(why),
            (Grown::Refused { why, .. } | Grown::Bound(why), Some(ours)) => {
                self.correct(&as_before(ours), ours).await?;
                Err(why)
            }
        }
    }

    async fn correct(&self, child: &Child, ours: &DynamicObject) -> Result<(), Error> {
        let value = serde_json::to_value(ours)
            .map_err(|source| Error::Write { what: "a child", source: source.into() })?;
        let foreign = exclusive::without_foreign_fields(&value, &child.object);
        if foreign.is_none() && satisfies(&value, &child.object) {
            self.verified.note(self.owner, child, ours);
            return Ok(());
        }
        if ours.metadata.deletion_timestamp.is_some() {
            return Ok(()); // made again once it is gone, which is an event
        }
        if let Some(patch) = foreign {
            self.remove_foreign(child, ours, patch).await?;
        }
        self.write(child, Target::of(ours)).await
    }

    async fn write(&self, child: &Child, seen: Target<'_>) -> Result<(), Error> {
        // Told first: who comes after a write, which may fail and yet take effect, does not know what was before.
        for event in child.news.iter().filter(|event| event.is_warning()) {
            let note = format!("{} {}: {event}", child.kind.gvk().kind, child.name);
            self.events.warning(&self.owner.object_ref(), "Trust", event.reason(), &note).await;
        }
        let written = self.patch(child, seen, &apply_params()).await?;
        info!(
            namespace = self.owner.namespace, kind = child.kind.gvk().kind, name = child.name,
            news = ?child.news, "applied",
        );
        self.verified.note(self.owner, child, &written);
        Ok(())
    }

    async fn patch(
        &self,
        child: &Child,
        seen: Target<'_>,
        parameters: &PatchParams,
    ) -> Result<DynamicObject, Error> {
        let patch =
            child.patch(seen).map_err(|source| Error::Write { what: "a child", source: source.into() })?;
        let written = self.api(child.kind).patch(&child.name, parameters, &Patch::Apply(&patch)).await;
        written.map_err(Error::api(format!("apply {} {}", child.kind.gvk().kind, child.name)))
    }

    /// Removes fields that others set where only the operator may. An apply would leave them.
    async fn remove_foreign(&self, child: &Child, live: &DynamicObject, patch: Value) -> Result<(), Error> {
        let patch = merge_patch(&live.metadata, patch);
        let kind = child.kind.gvk().kind;
        let written = self.api(child.kind).patch(&child.name, &merge_params(), &patch).await;
        written.map_err(Error::api(format!("remove foreign fields from {kind} {}", child.name)))?;
        info!(namespace = self.owner.namespace, kind, name = child.name, "foreign fields removed");
        Ok(())
    }

    /// Deletes children that are no longer wanted.
    async fn prune(&self, wanted: &[Child]) -> Result<(), Error> {
        for (kind, seen) in self.watched.children_of(self.owner) {
            let name = &*seen.name;
            if wanted.iter().any(|child| child.kind == kind && child.name == name) {
                continue;
            }
            delete_child(self.client, self.owner, kind, &seen.identity()).await?;
            info!(namespace = self.owner.namespace, kind = kind.gvk().kind, name, "deleted");
        }
        Ok(())
    }
}

/// Deletes just the child that was seen, and in the background what is its own.
pub async fn delete_child(
    client: &Client,
    owner: &Owner,
    kind: Kind,
    seen: &ObjectMeta,
) -> Result<(), Error> {
    let deleted = delete(&api(client, owner, kind), seen, PropagationPolicy::Background).await;
    deleted.map_err(Error::api(format!(
        "delete {} {}",
        kind.gvk().kind,
        seen.name.as_deref().unwrap_or_default()
    )))
}

fn api(client: &Client, owner: &Owner, kind: Kind) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), &owner.namespace, &kind.resource())
}

/// Deletes just the object that was seen: one that is another by now, or gone, is left alone.
pub async fn delete<K: Clone + Debug + DeserializeOwned>(
    api: &Api<K>,
    seen: &ObjectMeta,
    propagation: PropagationPolicy,
) -> Result<(), kube::Error> {
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid: seen.uid.clone(),
            resource_version: seen.resource_version.clone(),
        }),
        propagation_policy: Some(propagation),
        ..DeleteParams::default()
    };
    match api.delete(seen.name.as_deref().unwrap_or_default(), &parameters).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
        Err(error) => Err(error),
    }
}

impl Verified {
    fn holds(&self, watched: &Watched, owner: &Owner, child: &Child) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((version, hash)) = seen.get(&key(owner, child)) else { return false };
        hash == child.hash()
            && watched.version_of(&owner.namespace, child.kind, &child.name).as_ref() == Some(version)
    }

    fn note(&self, owner: &Owner, child: &Child, live: &DynamicObject) {
        let Some(version) = live.resource_version() else { return };
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(key(owner, child), (version, child.hash().to_owned()));
    }

    /// Returns whether the object that was last seen or written under the name of a child is as this child.
    pub fn is_met(&self, owner: &Owner, child: &Child) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&key(owner, child)).is_some_and(|(_, hash)| hash == child.hash())
    }

    /// Forgets children that are gone, once they are many.
    fn tidy(&self, watched: &Watched) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() > 2 * watched.count() + 1000 {
            seen.retain(|(kind, namespace, name), _| watched.version_of(namespace, *kind, name).is_some());
        }
    }
}

fn key(owner: &Owner, child: &Child) -> ChildKey {
    (child.kind, owner.namespace.clone(), child.name.clone())
}
