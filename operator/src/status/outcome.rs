//! The outcome of one reconcile, and the write of the status.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{DynamicObject, ObjectMeta};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use visnyk_crds::api::Status;

use crate::apply::finalizer;
use crate::apply::patch::{merge_params, merge_patch};
use crate::certificates::CertificateState;
use crate::children::meta::{Owner, PAUSED};
use crate::cluster::pods::{Report, shown};
use crate::error::Error;
use crate::status::conditions::{Finding, conditions};
use crate::status::reasons;

/// While pods take up a configuration, they are asked so often.
pub const SOON: Duration = Duration::from_secs(1);
/// Otherwise so often, since deliveries come and go without the API server hearing of it.
pub const LATER: Duration = Duration::from_mins(1);

/// Time between two reconciles where something outside has to make room, which may be no event.
pub const BLOCKED: Duration = Duration::from_secs(10);

/// Outcome of a reconcile.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Findings, one for each condition.
    pub findings: Vec<Finding>,
    /// URL of the Service; absent where nothing runs.
    pub url: Option<String>,
    /// Number of pods, and their label selector.
    pub pods: (usize, String),
    /// Ready pods of those that are wanted, as `1/2`; nothing where nothing runs.
    pub ready: Option<String>,
    /// Time until the next reconcile if nothing happens before.
    pub requeue_after: Duration,
    /// Own certificates of the resource.
    pub certificates: Certificates,
}

/// Certificates of a resource, as far as its status and the next reconcile need them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// Time at which the one that the listener shows expires.
    pub not_after: Option<Timestamp>,
    /// Time until one of its own certificates has to be looked at.
    pub look_again: Option<Duration>,
}

impl Certificates {
    /// Returns those of a resource, given the time of the next look at further ones, and the pods' answers about one
    /// that is not its own.
    pub fn of(
        trust: Option<CertificateState>,
        further: Option<Timestamp>,
        pods: &[Report],
        now: Timestamp,
    ) -> Self {
        let times = trust.map(|trust| trust.look_again).into_iter().chain(further);
        let wait = |time: Timestamp| Duration::try_from(time.duration_since(now)).unwrap_or_default();
        let own = trust.and_then(|trust| trust.not_after);
        Self {
            not_after: own.or_else(|| shown(pods).map(|life| life.not_after)),
            look_again: times.min().map(wait),
        }
    }
}

impl Outcome {
    /// Returns the status of the resource after it.
    pub fn status(&self, before: &Status, generation: Option<i64>, now: Timestamp) -> Status {
        Status {
            observed_generation: generation,
            conditions: conditions(&before.conditions, self.findings.clone(), generation, now),
            url: self.url.clone(),
            certificate_not_after: self.certificates.not_after.map(Time),
            replicas: i32::try_from(self.pods.0).ok(),
            selector: Some(self.pods.1.clone()),
            ready: self.ready.clone(),
            operator: before.operator.clone(),
        }
    }

    /// Returns the time until the next reconcile: a certificate may be due before anything else is.
    pub fn next(&self) -> Duration {
        self.certificates.look_again.map_or(self.requeue_after, |due| self.requeue_after.min(due.max(SOON)))
    }
}

/// Returns whether a resource is being deleted and has no finalizer of the operator.
pub fn is_gone(resource: &impl ResourceExt) -> bool {
    resource.meta().deletion_timestamp.is_some() && !finalizer::is_on(resource.meta())
}

/// Returns whether a resource is to be left as it is.
pub fn is_paused(resource: &impl ResourceExt) -> bool {
    resource.annotations().get(PAUSED).is_some_and(|value| value == "true")
}

/// Returns the condition about the annotation that pauses; absent where the annotation is absent, or says no.
pub fn pause(resource: &impl ResourceExt) -> Option<Finding> {
    match &resource.annotations().get(PAUSED)?[..] {
        "true" => {
            let message = format!(
                "the annotation {PAUSED} is \"true\": nothing is made, healed or reported until it is gone"
            );
            Some(Finding::yes(reasons::PAUSED, reasons::ANNOTATED, message))
        }
        "false" => None,
        other => {
            let shown = &other[..other.floor_char_boundary(64)];
            let message = format!("the annotation {PAUSED} is {shown:?} and not \"true\": it is ignored");
            Some(Finding::no(reasons::PAUSED, reasons::IGNORED, message))
        }
    }
}

/// Returns the status of a paused resource: the last one, and that it is paused.
pub fn paused(before: &Status, pause: Finding, now: Timestamp) -> Status {
    let mut conditions: Vec<Condition> =
        before.conditions.iter().filter(|one| one.type_ != reasons::PAUSED).cloned().collect();
    conditions.extend(self::conditions(&before.conditions, vec![pause], before.observed_generation, now));
    Status { conditions, ..before.clone() }
}

/// Last status of a resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LastStatus {
    /// The version of the resource that says so.
    pub version: Option<String>,
    /// Content of the status.
    pub status: Status,
}

/// Writes down what holds of a resource, if that is new; returns whether it is there now. Nothing is written of one
/// that is another by now, or has changed, if only by what the last reconcile wrote: the watch has yet to tell.
pub async fn write_status(
    client: &Client,
    owner: &Owner,
    before: &LastStatus,
    status: &Status,
) -> Result<bool, Error> {
    if *status == before.status {
        return Ok(true);
    }
    let seen = ObjectMeta {
        uid: Some(owner.uid.clone()),
        resource_version: before.version.clone(),
        ..ObjectMeta::default()
    };
    // What is absent is taken away.
    let patch = merge_patch(
        &seen,
        json!({ "status": {
        "observedGeneration": status.observed_generation,
        "conditions": status.conditions,
        "url": status.url,
        "certificateNotAfter": status.certificate_not_after,
        "replicas": status.replicas,
        "selector": status.selector,
        "ready": status.ready,
        "operator": status.operator,
    } }),
    );
    match api(client, owner).patch_status(&owner.name, &merge_params(), &patch).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => Ok(false),
        Err(error) => Err(Error::api(format!("write the status of {}", owner.name))(error)),
    }
}

/// Reads the last status of a resource, even where the rest of it cannot be read; the default where the status cannot
/// be read either.
pub async fn read_last_status(client: &Client, owner: &Owner) -> Result<LastStatus, Error> {
    let found = api(client, owner).get_opt(&owner.name).await;
    let Some(found) = found.map_err(Error::api(format!("read the status of {}", owner.name)))? else {
        return Ok(LastStatus::default());
    };
    let status = serde_json::from_value(found.data["status"].clone()).unwrap_or_default();
    Ok(LastStatus { version: found.metadata.resource_version, status })
}

/// Returns a client for the resource's kind that needs no type.
fn api(client: &Client, owner: &Owner) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), &owner.namespace, &owner.role.resource())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use visnyk_crds::WebhookRelay;

    use super::*;

    fn said(annotations: &Value) -> Option<(bool, &'static str, String)> {
        let metadata = json!({ "name": "harbour", "annotations": annotations });
        let relay = json!({
            "metadata": metadata, "spec": {
                "listener": { "tls": { "none": {} } }, "spool": { "ephemeral": {} }, "sources": [], "destinations": [],
            },
        });
        let finding = pause(&serde_json::from_value::<WebhookRelay>(relay).unwrap())?;
        Some((
            finding.holds == crate::status::conditions::ConditionStatus::Yes,
            finding.reason,
            finding.message,
        ))
    }

    #[test]
    fn annotation_that_pauses_is_told_and_another_is_ignored() {
        assert_eq!(said(&json!({})), None);
        assert_eq!(said(&json!({ PAUSED: "false" })), None);
        let (paused, reason, _) = said(&json!({ PAUSED: "true" })).unwrap();
        assert_eq!((paused, reason), (true, "Annotated"));
        let ignored = "the annotation visnyk.dev/paused is \"yes\" and not \"true\": it is ignored";
        assert_eq!(said(&json!({ PAUSED: "yes" })), Some((false, "Ignored", ignored.to_owned())));
    }
}
