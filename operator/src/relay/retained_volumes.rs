//! Volumes that no replica uses any more, and how far each has been drained. The condition about them is pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::ObjectMeta;
use visnyk_crds::api::OnDelete;

use crate::children::meta::Owner;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::status::conditions::Finding;
use crate::status::reasons::{
    DISCARDING, DRAIN_TIMED_OUT, DRAINING, IN_USE, SCALED_DOWN, SPOOL_RETAINED, UNDELIVERED,
};

/// A claim that no replica uses any more.
#[derive(Clone, Debug, PartialEq)]
pub struct RetainedVolume {
    /// Number of the replica that used it.
    pub ordinal: u32,
    /// Metadata of its claim.
    pub claim: ObjectMeta,
    /// Fate of the volume.
    pub fate: VolumeFate,
}

/// Fate of such a claim. Of several volumes, the one that comes first here is the reason of the condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VolumeFate {
    /// A Job delivered what could be delivered.
    Undelivered,
    /// The time for it is over.
    TimedOut,
    /// Stays as it is.
    Kept,
    /// A Job delivers what is in it, or is to begin.
    Draining,
    /// A Job found nothing left in it, just now.
    Drained,
    /// A Job did once. Who knows who used it since: another has to look.
    DrainedOnce,
    /// Is deleted, with any events in it.
    Discarded,
    /// Its pod is still there.
    InUse,
}

/// Time for which a Job's result counts that a volume is empty.
const FRESH: Duration = Duration::from_mins(1);

/// Reads the claims of replicas from `replicas` on.
pub async fn look(
    cluster: &Cluster,
    owner: &Owner,
    replicas: u16,
    then: OnDelete,
    now: Timestamp,
) -> Result<Vec<RetainedVolume>, Error> {
    let jobs: Api<Job> = Api::namespaced(cluster.client.clone(), &owner.namespace);
    let mut left = Vec::new();
    for claim in cluster.watched.claims_of(owner) {
        let Some(ordinal) = owner.replica_of(&claim).filter(|ordinal| *ordinal >= u32::from(replicas)) else {
            continue;
        };
        let is_used = cluster.watched.is_pod_there(owner, &format!("{}-{ordinal}", owner.base()));
        let fate = match then {
            OnDelete::Retain => VolumeFate::Kept,
            OnDelete::Discard if is_used => VolumeFate::InUse,
            OnDelete::Discard => VolumeFate::Discarded,
            OnDelete::Drain => {
                let name = job_name(owner, ordinal);
                let found = jobs.get_opt(&name).await.map_err(Error::api(format!("read Job {name}")))?;
                let ours = found.filter(|job| owner.controls(&job.metadata));
                fate(is_used, ours.as_ref(), now)
            }
        };
        left.push(RetainedVolume { ordinal, claim, fate });
    }
    left.sort_by_key(|left| left.ordinal);
    Ok(left)
}

fn job_name(owner: &Owner, ordinal: u32) -> String {
    owner.child(&format!("drain-{ordinal}"))
}

/// Returns the fate of a volume by the result of its Job. No Job is begun beside a pod, which has the volume for
/// itself.
fn fate(is_used: bool, job: Option<&Job>, now: Timestamp) -> VolumeFate {
    if is_used {
        return VolumeFate::InUse;
    }
    let Some(status) = job.and_then(|job| job.status.as_ref()) else { return VolumeFate::Draining };
    let ended = |how: &str| {
        let conditions = status.conditions.iter().flatten();
        conditions.into_iter().find(|one| one.type_ == how && one.status == "True")
    };
    if ended("Complete").is_some() {
        let since = status.completion_time.as_ref().map(|time| now.duration_since(time.0).unsigned_abs());
        return if since.is_some_and(|since| since <= FRESH) {
            VolumeFate::Drained
        } else {
            VolumeFate::DrainedOnce
        };
    }
    match ended("Failed").and_then(|failed| failed.reason.as_deref()) {
        None => VolumeFate::Draining,
        Some("PodFailurePolicy") => VolumeFate::Undelivered,
        Some(_) => VolumeFate::TimedOut,
    }
}

impl RetainedVolume {
    /// Returns the name of the claim.
    pub fn name(&self) -> &str {
        self.claim.name.as_deref().unwrap_or_default()
    }

    /// Returns the name of the Job that drains it.
    pub fn job(&self, owner: &Owner) -> String {
        job_name(owner, self.ordinal)
    }

    /// Returns whether its Job should exist. One that has failed stays: deleting it is how a person asks for another.
    pub fn has_job(&self) -> bool {
        matches!(
            self.fate,
            VolumeFate::Draining | VolumeFate::Drained | VolumeFate::Undelivered | VolumeFate::TimedOut
        )
    }

    /// Returns whether the claim is to be deleted.
    pub fn goes(&self) -> bool {
        matches!(self.fate, VolumeFate::Drained | VolumeFate::Discarded)
    }

    /// Returns whether there is nothing more to wait for.
    pub fn is_settled(&self) -> bool {
        matches!(self.fate, VolumeFate::Kept | VolumeFate::Undelivered | VolumeFate::TimedOut)
    }

    fn says(&self) -> String {
        let why = match self.fate {
            VolumeFate::Kept => &format!("kept until {} replicas run again", self.ordinal + 1),
            VolumeFate::InUse => "its pod still runs",
            VolumeFate::Draining | VolumeFate::Drained | VolumeFate::DrainedOnce => {
                "a Job delivers what is in it"
            }
            VolumeFate::Undelivered => {
                "kept with events that could not be delivered; delete its Job to try again"
            }
            VolumeFate::TimedOut => {
                "kept, not drained within spool.drainTimeout; delete its Job to try again"
            }
            VolumeFate::Discarded => "being deleted with all events in it",
        };
        format!("PersistentVolumeClaim {} ({why})", self.name())
    }
}

/// Returns the condition about them, if there are any.
pub fn retained(left: &[RetainedVolume]) -> Option<Finding> {
    let reason = match left.iter().map(|one| one.fate).min()? {
        VolumeFate::Undelivered => UNDELIVERED,
        VolumeFate::TimedOut => DRAIN_TIMED_OUT,
        VolumeFate::Kept => SCALED_DOWN,
        VolumeFate::Draining | VolumeFate::Drained | VolumeFate::DrainedOnce => DRAINING,
        VolumeFate::Discarded => DISCARDING,
        VolumeFate::InUse => IN_USE,
    };
    let all: Vec<String> = left.iter().map(RetainedVolume::says).collect();
    Some(Finding::yes(SPOOL_RETAINED, reason, all.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-11-24T12:00:00Z";

    fn job(status: &Value) -> Job {
        serde_json::from_value(json!({ "metadata": {}, "status": status })).unwrap()
    }

    fn said(status: &Value) -> VolumeFate {
        fate(false, Some(&job(status)), NOW.parse().unwrap())
    }

    fn ended(how: &str, reason: &str) -> Value {
        json!({ "conditions": [{ "type": how, "status": "True", "reason": reason }] })
    }

    #[test]
    fn nothing_is_drained_beside_a_pod() {
        let now = NOW.parse().unwrap();
        assert_eq!(fate(true, None, now), VolumeFate::InUse);
        assert_eq!(fate(true, Some(&job(&ended("Complete", ""))), now), VolumeFate::InUse);
        assert_eq!(fate(false, None, now), VolumeFate::Draining);
    }

    #[test]
    fn job_says_what_became_of_the_volume() {
        assert_eq!(said(&json!({})), VolumeFate::Draining);
        assert_eq!(said(&json!({ "active": 1, "failed": 3 })), VolumeFate::Draining);
        assert_eq!(said(&ended("Failed", "PodFailurePolicy")), VolumeFate::Undelivered);
        assert_eq!(said(&ended("Failed", "DeadlineExceeded")), VolumeFate::TimedOut);
    }

    #[test]
    fn word_of_a_job_that_a_volume_is_empty_gets_old() {
        let complete = |at: &str| {
            let mut status = ended("Complete", "CompletionsReached");
            status["completionTime"] = at.into();
            said(&status)
        };
        assert_eq!(complete("2026-11-24T11:59:00Z"), VolumeFate::Drained);
        assert_eq!(complete("2026-11-24T11:58:59Z"), VolumeFate::DrainedOnce);
        assert_eq!(said(&ended("Complete", "")), VolumeFate::DrainedOnce);
    }

    #[test]
    fn retained_volumes_are_named_each_with_its_reason() {
        let left = |ordinal: u32, fate: VolumeFate| {
            let claim =
                ObjectMeta { name: Some(format!("data-harbour-relay-{ordinal}")), ..ObjectMeta::default() };
            RetainedVolume { ordinal, claim, fate }
        };
        assert_eq!(retained(&[]), None);
        let message = "PersistentVolumeClaim data-harbour-relay-1 (a Job delivers what is in it), PersistentVolumeClaim \
                       data-harbour-relay-2 (kept with events that could not be delivered; delete its Job to try again)";
        let both = [left(1, VolumeFate::Draining), left(2, VolumeFate::Undelivered)];
        assert_eq!(retained(&both), Some(Finding::yes("SpoolRetained", "Undelivered", message)));
        let kept = "PersistentVolumeClaim data-harbour-relay-1 (kept until 2 replicas run again)";
        assert_eq!(
            retained(&[left(1, VolumeFate::Kept)]),
            Some(Finding::yes("SpoolRetained", "ScaledDown", kept))
        );
        let message = "PersistentVolumeClaim data-harbour-relay-1 (its pod still runs), PersistentVolumeClaim data-harbour-relay-2 \
                       (being deleted with all events in it)";
        let both = [left(1, VolumeFate::InUse), left(2, VolumeFate::Discarded)];
        assert_eq!(retained(&both), Some(Finding::yes("SpoolRetained", "Discarding", message)));
    }
}
