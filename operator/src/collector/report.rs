//! Report on a collector. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Runnable;
use super::build::data;
use crate::apply::Applied;
use crate::apply::runnable::{Awaited, Fault};
use crate::certificates::CertificateState;
use crate::children::child::Kind;
use crate::children::meta::Owner;
use crate::children::{self, Scheme, service_port};
use crate::cluster::pods::Report;
use crate::status::conditions::summed_up;
use crate::status::outcome::{Certificates, Outcome};
use crate::status::report::{
    NEEDED, Obstacle, accepted, available, awaited_obstacles, certificate, durable, missing_kinds,
    programmed, ready, requeue_after, secret_obstacles,
};

/// Observations of a reconcile.
pub struct Inputs<'a> {
    /// Owner of the children.
    pub owner: &'a Owner,
    /// Resource whose pods run.
    pub runnable: &'a Runnable,
    /// Fault of the spec, if another one runs.
    pub fault: Option<&'a Fault>,
    /// Result of the apply.
    pub applied: &'a Applied,
    /// Names of missing Secrets.
    pub missing_secrets: &'a BTreeSet<String>,
    /// Obstacles to its configuration.
    pub obstacles: &'a [Obstacle],
    /// Reports of the pods; there is at most one.
    pub pods: &'a [Report],
    /// Reason that there is no pod, if anything says so.
    pub creation_failure: Option<&'a str>,
    /// Its own authority and certificate, if it has them.
    pub trust: Option<CertificateState>,
    /// Time of this reconcile.
    pub now: Timestamp,
}

/// Returns the objects that it refers to or asks for, and that are missing.
pub fn obstacles(
    missing: &BTreeSet<String>,
    awaited: &BTreeSet<Awaited>,
    unknown: &BTreeSet<Kind>,
) -> Vec<Obstacle> {
    let mut obstacles = awaited_obstacles(awaited);
    obstacles.extend(secret_obstacles(missing));
    obstacles.extend(missing_kinds(unknown));
    obstacles
}

/// Returns the report on a collector.
pub fn report(seen: &Inputs<'_>) -> Outcome {
    let Runnable { resource: collector, valid } = seen.runnable;
    let (spec, hash) = (&collector.spec, &valid.identity.configuration_hash[..]);
    let warnings: Vec<String> = valid.warnings.iter().map(ToString::to_string).collect();
    let findings = vec![
        accepted(seen.fault, Some(seen.applied), &warnings),
        certificate(
            &valid.listener.tls,
            seen.missing_secrets,
            seen.trust.and_then(|trust| trust.not_after),
            seen.pods,
            seen.now,
        ),
        programmed(Some(hash), 1, seen.pods, seen.obstacles),
        available(1, seen.pods, seen.creation_failure),
        durable(&data(collector), seen.pods),
    ];
    let scheme = Scheme::of(&valid.listener.tls);
    Outcome {
        findings: summed_up(findings, NEEDED),
        url: Some(children::url(seen.owner, scheme, service_port(&spec.service, scheme))),
        pods: (seen.pods.len(), seen.owner.pods_selector()),
        ready: Some(ready(1, seen.pods)),
        requeue_after: requeue_after(seen.fault, seen.applied, seen.pods, seen.creation_failure),
        certificates: Certificates::of(seen.trust, None, seen.pods, seen.now),
    }
}
