//! Reason that a workload has fewer pods than it should: no status of a StatefulSet has it, but its Events do.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::ListParams;

use crate::children::child::Kind;
use crate::cluster::live_children::LiveChildren;
use crate::error::Error;

/// Reason of the Event of a controller that cannot create a pod.
const REASON: &str = "FailedCreate";
/// Age of an Event that still counts. A StatefulSet is tried again after 17 minutes at the latest.
const COUNTS: SignedDuration = SignedDuration::from_mins(20);
/// Maximum number of Events that are read.
const MAX_EVENTS: u32 = 50;

/// Looks why a workload has fewer pods than are `wanted`, in the words of what refuses them; nothing if nothing says
/// so. `kind` is that of the workload.
pub async fn creation_failure(
    live: &LiveChildren<'_>,
    kind: Kind,
    wanted: usize,
    found: usize,
    now: Timestamp,
) -> Result<Option<String>, Error> {
    if found >= wanted {
        return Ok(None);
    }
    // Where that may not be read, the number of pods is still told.
    Ok(live.told(look(live, kind, now).await)?.unwrap_or(None))
}

async fn look(live: &LiveChildren<'_>, kind: Kind, now: Timestamp) -> Result<Option<String>, Error> {
    let name = live.owner.base();
    if kind == Kind::Deployment {
        let live: Option<Deployment> = live.typed(kind, &name).await?;
        return Ok(live.and_then(replica_failure));
    }
    let uid = match live.under(kind, &name).await?.ours() {
        Some(live) => live.metadata.uid.clone().unwrap_or_default(),
        None => return Ok(None),
    };
    let api: Api<Event> = Api::namespaced(live.cluster.client.clone(), &live.owner.namespace);
    let selected =
        ListParams::default().fields(&format!("involvedObject.uid={uid},reason={REASON}")).limit(MAX_EVENTS);
    let events = api.list(&selected).await.map_err(Error::api(format!("list Events of {name}")))?;
    let latest = events.items.into_iter().filter_map(|event| Some((last_seen(&event)?, event.message?)));
    let latest = latest.filter(|(seen, _)| now.duration_since(*seen) < COUNTS).max_by_key(|(seen, _)| *seen);
    Ok(latest.map(|(_, message)| message))
}

/// Returns the time at which an Event was last repeated.
fn last_seen(event: &Event) -> Option<Timestamp> {
    let of_series = event.series.as_ref().and_then(|series| Some(series.last_observed_time.as_ref()?.0));
    let repeated = event.last_timestamp.as_ref().map(|time| time.0);
    let first = event.event_time.as_ref().map(|time| time.0);
    [of_series, repeated, first].into_iter().flatten().max()
}

/// Returns the message of a Deployment about pods that its `ReplicaSet` cannot make.
fn replica_failure(live: Deployment) -> Option<String> {
    let conditions = live.status?.conditions?;
    let is_failure = |one: &DeploymentCondition| {
        one.type_.as_deref() == Some("ReplicaFailure") && one.status.as_deref() == Some("True")
    };
    let failure = conditions.into_iter().find(is_failure)?;
    failure.message
}
