//! Report on a relay. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use visnyk_crds::contract::status::{DestinationState, DestinationStatus};
use visnyk_crds::valid::ValidatedRelay;
use visnyk_runtime::guard;

use super::Runnable;
use super::build::data;
use super::peers::Resolved;
use super::retained_volumes::{RetainedVolume, retained};
use crate::apply::Applied;
use crate::apply::runnable::{Awaited, Fault};
use crate::certificates::CertificateState;
use crate::children::child::Kind;
use crate::children::meta::Owner;
use crate::children::{self, Scheme, service_port};
use crate::cluster::pods::Report;
use crate::status::conditions::{Finding, summed_up};
use crate::status::outcome::{Certificates, Outcome};
use crate::status::reasons::{BEHIND, DELIVERING, DISABLED, KEEPING_UP, NO_ANSWER};
use crate::status::report::{
    NEEDED, Obstacle, accepted, available, awaited_obstacles, certificate, durable, missing_kinds,
    programmed, ready, requeue_after, secret_obstacles,
};

/// An undelivered event older than this has met more than a hiccup.
const BEHIND_SECONDS: u64 = 60;

/// All that a reconcile has seen.
pub struct Inputs<'a> {
    /// Owner of the children.
    pub owner: &'a Owner,
    /// Resource whose pods run.
    pub runnable: &'a Runnable,
    /// Fault of the spec, if another one runs.
    pub fault: Option<&'a Fault>,
    /// Result of the apply.
    pub applied: &'a Applied,
    /// Secrets that are not there.
    pub missing_secrets: &'a BTreeSet<String>,
    /// Which destinations can be reached.
    pub resolved: &'a Resolved,
    /// Its own authority and certificate, if it has them.
    pub trust: Option<CertificateState>,
    /// Obstacles to its configuration.
    pub obstacles: &'a [Obstacle],
    /// The pods, and what they say.
    pub pods: &'a [Report],
    /// Reason that there are fewer pods than there should be, if anything says so.
    pub creation_failure: Option<&'a str>,
    /// Volumes of replicas that are no more.
    pub left: &'a [RetainedVolume],
    /// Time of this reconcile.
    pub now: Timestamp,
}

/// Returns the report on a relay.
pub fn report(seen: &Inputs<'_>) -> Outcome {
    let Runnable { resource: relay, valid } = seen.runnable;
    let (spec, hash) = (&relay.spec, &valid.identity.configuration_hash[..]);
    let mut findings = vec![
        accepted(seen.fault, Some(seen.applied), &warnings(valid)),
        certificate(
            &valid.listener.tls,
            seen.missing_secrets,
            seen.trust.and_then(|trust| trust.not_after),
            seen.pods,
            seen.now,
        ),
        programmed(Some(hash), spec.replicas, seen.pods, seen.obstacles),
        available(spec.replicas, seen.pods, seen.creation_failure),
        durable(&data(relay, valid), seen.pods),
        delivering(seen.pods),
    ];
    findings.extend(retained(seen.left));
    let scheme = Scheme::of(&valid.listener.tls);
    Outcome {
        findings: summed_up(findings, NEEDED),
        url: Some(children::url(seen.owner, scheme, service_port(&spec.service, scheme))),
        pods: (seen.pods.len(), seen.owner.pods_selector()),
        ready: Some(ready(spec.replicas, seen.pods)),
        requeue_after: requeue_after(seen.fault, seen.applied, seen.pods, seen.creation_failure),
        certificates: Certificates::of(seen.trust, seen.resolved.look_again, seen.pods, seen.now),
    }
}

/// Parts of a valid spec that have no effect, as `visnyk-relay check` prints them.
fn warnings(valid: &ValidatedRelay) -> Vec<String> {
    let of_the_spec = valid.warnings.iter().map(ToString::to_string);
    of_the_spec.chain(guard::warnings(&valid.destinations)).collect()
}

/// Decides whether every destination gets its events about as fast as they come.
fn delivering(pods: &[Report]) -> Finding {
    let about = DELIVERING;
    if pods.iter().all(|pod| pod.status.is_none()) {
        return Finding::unknown(about, NO_ANSWER, "no pod says how far its deliveries are");
    }
    let disabled = those(pods, |one| one.state == DestinationState::Disabled);
    if !disabled.is_empty() {
        let message = format!("disabled after HTTP 410 until its url changes: {}", disabled.join("; "));
        return Finding::no(about, DISABLED, message);
    }
    let is_behind =
        |one: &DestinationStatus| one.oldest_pending_seconds.is_some_and(|seconds| seconds > BEHIND_SECONDS);
    let behind = those(pods, is_behind);
    if !behind.is_empty() {
        let message = format!("events wait for more than a minute: {}", behind.join("; "));
        return Finding::no(about, BEHIND, message);
    }
    Finding::yes(about, KEEPING_UP, "no event has waited for more than a minute")
}

/// Returns the destinations of pods that are so, each with its pod, and the reason that nothing gets there, as far as
/// the pod says it.
fn those(pods: &[Report], are_so: impl Fn(&DestinationStatus) -> bool) -> Vec<String> {
    let answers = pods.iter().filter_map(|pod| Some((&pod.name, pod.status.as_ref()?)));
    let all = answers.flat_map(|(pod, status)| status.destinations.iter().map(move |one| (pod, one)));
    let told = |(pod, one): (&String, &DestinationStatus)| {
        let waits = one.waits_for.as_ref().map(|what| format!(", waits for its files: {what}"));
        let failure = one.last_failure.as_ref().map(|failure| format!(", last failure: {failure}"));
        format!("destination {:?} (pod {pod}){}", one.name, waits.or(failure).unwrap_or_default())
    };
    all.filter(|(_, one)| are_so(one)).map(told).collect()
}

/// Returns the objects that it refers to or asks for, and that are missing.
pub fn obstacles(
    missing: &BTreeSet<String>,
    awaited: &BTreeSet<Awaited>,
    resolved: &Resolved,
    unknown: &BTreeSet<Kind>,
) -> Vec<Obstacle> {
    let mut obstacles = awaited_obstacles(awaited);
    obstacles.extend(resolved.obstacles.iter().cloned());
    obstacles.extend(secret_obstacles(missing));
    obstacles.extend(missing_kinds(unknown));
    obstacles
}
