//! A relay that is being deleted and whose volumes have to be drained or deleted first. Its pods go, then a Job for
//! each delivers what is left in their volumes: of all that a reconcile may create, only that. What cannot be drained
//! is kept.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim};
use kube::api::PropagationPolicy;
use kube::{Api, Client, Resource, ResourceExt};
use tracing::info;
use visnyk_crds::WebhookRelay;
use visnyk_crds::api::OnDelete;

use super::retained_volumes::{RetainedVolume, VolumeFate, retained};
use super::{RULES, Runnable, build, fetch, peers, retained_volumes};
use crate::apply::finalizer;
use crate::apply::runnable::judge;
use crate::apply::{Applied, delete, delete_child, keep_up};
use crate::children::child::{Child, Kind};
use crate::children::meta::Owner;
use crate::cluster::Cluster;
use crate::cluster::live_children::LiveChildren;
use crate::cluster::watched::Watched;
use crate::cluster::written::Written;
use crate::context::Context;
use crate::error::Error;
use crate::status::conditions::Finding;
use crate::status::outcome::{BLOCKED, Certificates, Outcome};
use crate::status::reasons::{LEAVING, READY, SPOOL_RETAINED};
use crate::status::report::accepted;

/// Drains or deletes the relay's volumes as its spec says, then removes the finalizer.
pub async fn finalize(
    relay: &Written<WebhookRelay>,
    owner: &Owner,
    context: &Context,
    now: Timestamp,
) -> Result<Outcome, Error> {
    if is_namespace_going(&context.cluster.client, owner).await? {
        return let_go(relay, owner, context, Vec::new()).await;
    }
    let live = LiveChildren::new(&context.cluster, owner);
    let (runnable, _) = judge(relay, &live, &RULES).await?;
    let then = runnable.as_ref().map_or(OnDelete::Retain, |runnable| runnable.resource.spec.spool.on_delete);
    let left = retained_volumes::look(&context.cluster, owner, 0, then, now).await?;
    let is_worth_waiting = |runnable: &Runnable| match then {
        OnDelete::Retain => false,
        OnDelete::Drain => can_drain(runnable, relay, now) && has_manifest(&context.cluster.watched, owner),
        OnDelete::Discard => !is_orphaned(relay, &context.cluster.watched, owner),
    };
    let Some(runnable) = runnable.filter(|one| one.is_held() && is_worth_waiting(one)) else {
        return let_go(relay, owner, context, left).await;
    };
    stop(&context.cluster, owner, &left).await?;
    let applied = if then == OnDelete::Drain {
        keep_up(&live, &context.writer, &children(&live, &runnable, &context.images.relay, &left, now).await?)
            .await?
    } else {
        Applied::Done
    };
    delete_claims(&context.cluster.client, owner, &left).await?;
    if left.iter().all(RetainedVolume::is_settled) && is_stopped(&context.cluster.watched, owner) {
        return let_go(relay, owner, context, left).await;
    }
    Ok(going(owner, &left, context.cluster.watched.pods_of(owner).len(), &applied))
}

/// Returns the Jobs, and the ConfigMap and Secrets that they read.
async fn children(
    live: &LiveChildren<'_>,
    runnable: &Runnable,
    image: &str,
    left: &[RetainedVolume],
    now: Timestamp,
) -> Result<Vec<Child>, Error> {
    let owner = live.owner;
    live.cluster.references.note(&owner.key(), fetch::references(&runnable.valid));
    let found = fetch::fetch(&runnable.valid, live).await?;
    let resolved = peers::resolve(owner, &found, now)?;
    let mut children = build::build(runnable, owner, &resolved, None, image)?;
    children.retain(|child| matches!(child.kind, Kind::ConfigMap | Kind::Secret));
    children.extend(build::drains(runnable, owner, image, left)?);
    Ok(children)
}

/// Deletes the claims in which nothing is left, or nothing that is to be delivered.
pub async fn delete_claims(client: &Client, owner: &Owner, left: &[RetainedVolume]) -> Result<(), Error> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &owner.namespace);
    for one in left.iter().filter(|left| left.goes()) {
        delete(&claims, &one.claim, PropagationPolicy::Background)
            .await
            .map_err(Error::api(format!("delete PersistentVolumeClaim {}", one.name())))?;
        info!(namespace = owner.namespace, name = one.name(), fate = ?one.fate, "claim deleted");
    }
    Ok(())
}

/// Returns whether draining is possible, and not yet too late.
fn can_drain(runnable: &Runnable, relay: &WebhookRelay, now: Timestamp) -> bool {
    let since = relay.meta().deletion_timestamp.as_ref();
    let since = since.map(|time| now.duration_since(time.0).unsigned_abs());
    let goes_alone = !is_cascade(relay, "foregroundDeletion") && !is_cascade(relay, "orphan");
    goes_alone && since.unwrap_or_default() < runnable.valid.spool.drain_timeout
}

/// Returns whether its children are left to themselves. The finalizer that says so goes as soon as they are.
fn is_orphaned(relay: &WebhookRelay, watched: &Watched, owner: &Owner) -> bool {
    let map = owner.base();
    let stands = watched.version_of(&owner.namespace, Kind::ConfigMap, &map).is_some();
    is_cascade(relay, "orphan") || (stands && !watched.has(owner, Kind::ConfigMap, &map))
}

/// Returns whether it is deleted in this way, by the finalizer that the API server puts on it then: its children go
/// before it, or stay and work on without it.
fn is_cascade(relay: &WebhookRelay, finalizer: &str) -> bool {
    relay.finalizers().iter().any(|one| one == finalizer)
}

/// Returns whether there are no pods any more, nor anything that makes some.
fn is_stopped(watched: &Watched, owner: &Owner) -> bool {
    !watched.has_pods(owner) && !watched.has(owner, Kind::StatefulSet, &owner.base())
}

/// Returns whether the ConfigMap that a Job would read still exists: a deletion in the foreground takes it away, and it
/// is not made again.
fn has_manifest(watched: &Watched, owner: &Owner) -> bool {
    let children = watched.children_of(owner);
    children
        .iter()
        .any(|(kind, child)| *kind == Kind::ConfigMap && *child.name == owner.base() && !child.is_leaving)
}

async fn is_namespace_going(client: &Client, owner: &Owner) -> Result<bool, Error> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let found = namespaces.get_metadata_opt(&owner.namespace).await;
    let found = found.map_err(Error::api(format!("look at namespace {}", owner.namespace)))?;
    Ok(found.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some()))
}

/// Deletes its pods, and Jobs whose result no longer counts. A prune would begin with objects that are still needed.
async fn stop(cluster: &Cluster, owner: &Owner, left: &[RetainedVolume]) -> Result<(), Error> {
    let is_old =
        |job: &str| left.iter().any(|one| one.fate == VolumeFate::DrainedOnce && one.job(owner) == job);
    for (kind, child) in cluster.watched.children_of(owner) {
        let ends = match kind {
            Kind::StatefulSet => true,
            Kind::Job => is_old(&child.name),
            _ => false,
        };
        if ends && !child.is_leaving {
            delete_child(&cluster.client, owner, kind, &child.identity()).await?;
        }
    }
    Ok(())
}

/// Removes the finalizer, and publishes the volumes that are kept.
async fn let_go(
    relay: &WebhookRelay,
    owner: &Owner,
    context: &Context,
    kept: Vec<RetainedVolume>,
) -> Result<Outcome, Error> {
    finalizer::take_off::<WebhookRelay>(&context.cluster.client, relay.meta()).await?;
    if !kept.is_empty() {
        let names: Vec<&str> = kept.iter().map(RetainedVolume::name).collect();
        let note = format!(
            "PersistentVolumeClaims kept with their undelivered events: {}; a relay of this name uses them again",
            names.join(", ")
        );
        context.writer.events.warning(&owner.object_ref(), "Drain", SPOOL_RETAINED, &note).await;
    }
    Ok(going(owner, &kept, 0, &Applied::Done))
}

fn going(owner: &Owner, left: &[RetainedVolume], pods: usize, applied: &Applied) -> Outcome {
    let ready = Finding::no(
        READY,
        LEAVING,
        "being deleted: the relay goes once its volumes are drained or deleted; see SpoolRetained",
    );
    Outcome {
        findings: [ready, accepted(None, Some(applied), &[])].into_iter().chain(retained(left)).collect(),
        url: None,
        pods: (pods, owner.pods_selector()),
        ready: None,
        requeue_after: BLOCKED,
        certificates: Certificates::default(),
    }
}
