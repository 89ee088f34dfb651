//! Findings about a resource of either kind. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use visnyk_crds::api::Status;
use visnyk_crds::contract::HEALTH_PORT;
use visnyk_crds::valid::{ListenerTls, SecretRef};

use crate::apply::Applied;
use crate::apply::runnable::{Awaited, Fault, Unresolved};
use crate::children::Data;
use crate::children::child::Kind;
use crate::children::meta::{ADOPT, Owner, Role};
use crate::cluster::pods::{Life, Report, shown, waits};
use crate::status::conditions::{Finding, conditions, summed_up};
use crate::status::outcome::{BLOCKED, Certificates, LATER, Outcome, SOON};
use crate::status::reasons::{
    ACCEPTED, ALL_READY, API_MISSING, AVAILABLE, CERTIFICATE_READY, CERTIFICATE_UNUSABLE, DELIVERING,
    DURABLE, EPHEMERAL, EXPIRED, EXPIRES_SOON, FAILED_CREATE, INVALID, ISSUED, MANIFEST_PROBLEM,
    NAME_CONFLICT, NEWER_CONFIGURATION, NO_POD_READY, NOT_ISSUED, NOTHING_VALID, PERSISTENT, PLAIN_HTTP,
    PROGRAMMED, REFUSED, SCALED_TO_ZERO, SECRET_FOUND, SECRET_MISSING, SOME_READY, SPREADING, STATE_LOST,
    VALID, WAITING,
};

/// The conditions that `Ready` sums up.
pub const NEEDED: &[&str] = &[ACCEPTED, CERTIFICATE_READY, PROGRAMMED, AVAILABLE];

/// Time before its end at which a certificate is warned of, if it lives for a quarter of a year or longer.
const WARNING: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Message of the conditions of a resource of which nothing runs.
const NO_SPEC: &str = "no valid spec is known, so no pod is started: see Accepted";

/// Obstacle to a configuration that is valid by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Reason of the condition.
    pub reason: &'static str,
    /// Message of the condition.
    pub message: String,
}

/// Returns the conditions about a resource's pods, which are there from the first reconcile on.
fn of_pods(role: Role) -> &'static [&'static str] {
    match role {
        Role::Relay => &[AVAILABLE, CERTIFICATE_READY, DURABLE, DELIVERING],
        Role::Collector => &[AVAILABLE, CERTIFICATE_READY, DURABLE],
    }
}

/// Returns the status of a resource whose reconcile failed and will fail again until something changes. Other
/// conditions stay as they were.
pub fn failed(
    role: Role,
    before: &Status,
    (reason, why): (&'static str, String),
    generation: Option<i64>,
    now: Timestamp,
) -> Status {
    let mut findings = summed_up(vec![Finding::no(ACCEPTED, reason, why)], NEEDED);
    if before.conditions.is_empty() {
        let rest = [PROGRAMMED].iter().chain(of_pods(role)).copied();
        findings.extend(rest.map(|about| Finding::unknown(about, reason, "not known yet: see Accepted")));
    }
    let mut now_known = conditions(&before.conditions, findings, generation, now);
    let is_said_anew = |was: &Condition| now_known.iter().any(|one| one.type_ == was.type_);
    let rest: Vec<Condition> = before.conditions.iter().filter(|was| !is_said_anew(was)).cloned().collect();
    now_known.extend(rest);
    Status { observed_generation: generation, conditions: now_known, ..before.clone() }
}

/// Returns the report on a resource of which no valid spec is known.
pub fn nothing_runs(owner: &Owner, fault: Option<&Fault>) -> Outcome {
    let none = |about| Finding::unknown(about, NOTHING_VALID, NO_SPEC);
    let mut findings = vec![accepted(fault, None, &[]), programmed(None, 0, &[], &[])];
    findings.extend(of_pods(owner.role).iter().copied().map(none));
    Outcome {
        findings: summed_up(findings, NEEDED),
        url: None,
        pods: (0, owner.pods_selector()),
        ready: None,
        requeue_after: if matches!(fault, Some(Fault::Refused(_))) { BLOCKED } else { LATER },
        certificates: Certificates::default(),
    }
}

/// Remedy where pods are of another version than the operator.
const OTHER_VERSION: &str = "give the pods an image of the operator's version (spec.pod.image, or images.tag of \
                             the chart), or remove the fields that they cannot read";

/// Beginning of the message of `Accepted` where the spec is valid and has parts without effect.
pub const WARNED: &str = "the spec is valid, but ";

/// Decides whether the spec is valid and its children could be made. `warnings` name the parts of it that have no
/// effect.
pub fn accepted(fault: Option<&Fault>, applied: Option<&Applied>, warnings: &[String]) -> Finding {
    match (fault, applied) {
        (Some(Fault::Invalid(problems)), _) => {
            let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Finding::no(ACCEPTED, INVALID, all.join("; "))
        }
        (Some(Fault::Refused(why)), _) | (None, Some(Applied::Refused(why))) => {
            Finding::no(ACCEPTED, REFUSED, why)
        }
        (None, Some(Applied::NameConflict { names, are_orphans })) => {
            let names = names.join(", ");
            let message = if *are_orphans {
                format!(
                    "nothing was changed; objects that were made for a resource of this name have no owner: {names}: \
                     annotate this one with {ADOPT}=true to adopt them"
                )
            } else {
                format!(
                    "nothing was changed; objects that this resource does not control have its children's names: \
                     {names}: delete them, or give this resource another name"
                )
            };
            Finding::no(ACCEPTED, NAME_CONFLICT, message)
        }
        (None, Some(Applied::Done) | None) if warnings.is_empty() => {
            Finding::yes(ACCEPTED, VALID, "the spec is valid")
        }
        (None, Some(Applied::Done) | None) => {
            Finding::yes(ACCEPTED, VALID, format!("{WARNED}{}", warnings.join("; ")))
        }
    }
}

/// Decides whether every pod runs the configuration `hash`, and everything that it refers to is there.
pub fn programmed(hash: Option<&str>, replicas: u16, pods: &[Report], obstacles: &[Obstacle]) -> Finding {
    let Some(hash) = hash else {
        return Finding::no(PROGRAMMED, NOTHING_VALID, NO_SPEC);
    };
    if let Some(first) = obstacles.first() {
        let all: Vec<&str> = obstacles.iter().map(|obstacle| &obstacle.message[..]).collect();
        return Finding::no(PROGRAMMED, first.reason, all.join("; "));
    }
    let running = pods.iter().filter(|pod| pod.runs(hash)).count();
    let said = format!("{running} of {replicas} pods run this configuration");
    if running == pods.len() && running == usize::from(replicas) {
        let waiting = waiting(pods);
        if !waiting.is_empty() {
            return Finding::no(PROGRAMMED, WAITING, waiting.join("; "));
        }
        return Finding::yes(PROGRAMMED, PROGRAMMED, said);
    }
    let mut others = pods.iter().filter(|pod| !pod.runs(hash));
    let problem = |pod: &Report| {
        let process = &pod.status.as_ref()?.process;
        let problem = process.manifest_problem.as_ref()?.replace('\n', "; ");
        let message =
            format!("{said}; pod {} does not take it and keeps the one before: {problem}", pod.name);
        Some(if process.newer_configuration {
            (NEWER_CONFIGURATION, format!("{message}; {OTHER_VERSION}"))
        } else {
            (MANIFEST_PROBLEM, message)
        })
    };
    if let Some((reason, message)) = others.clone().find_map(problem) {
        return Finding::no(PROGRAMMED, reason, message);
    }
    let lag = match others.next() {
        Some(pod) if pod.status.is_some() => format!("pod {} still runs the one before", pod.name),
        Some(pod) => format!("pod {} does not answer at port {HEALTH_PORT} yet", pod.name),
        None if running < usize::from(replicas) => "the others do not exist yet".to_owned(),
        None => "further pods are on their way out".to_owned(),
    };
    Finding::no(PROGRAMMED, SPREADING, format!("{said}; {lag}"))
}

/// Returns the files that pods wait for, each with its pod.
fn waiting(pods: &[Report]) -> Vec<String> {
    let all = pods.iter().filter_map(|pod| Some((&pod.name, waits(pod.status.as_ref()?))));
    all.flat_map(|(pod, waits)| waits.into_iter().map(move |what| format!("pod {pod}: {what}"))).collect()
}

/// Returns how many pods are ready, of how many that are wanted.
pub fn ready(replicas: u16, pods: &[Report]) -> String {
    format!("{}/{replicas}", pods.iter().filter(|pod| pod.is_ready).count())
}

/// Decides whether events can be accepted; `creation_failure` is why there are fewer pods than there should be.
pub fn available(replicas: u16, pods: &[Report], creation_failure: Option<&str>) -> Finding {
    let ready = pods.iter().filter(|pod| pod.is_ready).count();
    let trouble = pods.iter().find_map(|pod| Some(format!("; pod {}: {}", pod.name, pod.trouble.as_ref()?)));
    let refusal = creation_failure.map(|why| format!("; no pod is made: {why}"));
    let starts = || Some(format!("; pod {} starts", pods.iter().find(|pod| !pod.is_ready)?.name));
    let none = || pods.is_empty().then(|| "; none exists yet".to_owned());
    let why = refusal.or(trouble).or_else(starts).or_else(none).unwrap_or_default();
    let message = format!("{ready} of {replicas} pods are ready{why}");
    match ready {
        _ if replicas == 0 => Finding::no(
            AVAILABLE,
            SCALED_TO_ZERO,
            "spec.replicas is 0: no pod runs, and no event is accepted",
        ),
        0 if creation_failure.is_some() => Finding::no(AVAILABLE, FAILED_CREATE, message),
        0 => Finding::no(AVAILABLE, NO_POD_READY, message),
        ready if ready < usize::from(replicas) => Finding::yes(AVAILABLE, SOME_READY, message),
        _ => Finding::yes(AVAILABLE, ALL_READY, message),
    }
}

/// Decides whether data outlive a pod.
pub fn durable(data: &Data<'_>, pods: &[Report]) -> Finding {
    if let Data::Ephemeral { .. } = data {
        return Finding::no(
            DURABLE,
            EPHEMERAL,
            "the data of a pod are lost with it, as the spec asks for (ephemeral)",
        );
    }
    let lost = pods.iter().find_map(|pod| {
        let status = pod.status.as_ref()?;
        let aside = status.state_set_aside.as_ref().map(|path| format!("was damaged and is now {path}"));
        let how = aside.or_else(|| status.state_lost.then(|| "was lost".to_owned()))?;
        Some(format!(
            "pod {}: the state file {how}: deliveries repeat, and events that waited for another attempt may be lost; this \
             is told until the pod restarts",
            pod.name
        ))
    });
    match lost {
        Some(lost) => Finding::no(DURABLE, STATE_LOST, lost),
        None => Finding::yes(DURABLE, PERSISTENT, "each pod keeps its data on a PersistentVolume"),
    }
}

/// Decides whether the listener has a certificate that clients accept. `own` is when one of the resource's own
/// authority expires.
pub fn certificate(
    tls: &ListenerTls,
    missing: &BTreeSet<String>,
    own: Option<Timestamp>,
    pods: &[Report],
    now: Timestamp,
) -> Finding {
    let (about, shown) = (CERTIFICATE_READY, shown(pods));
    let until = own.or(shown.map(|life| life.not_after));
    let valid = until.map(|until| format!(", valid until {until}")).unwrap_or_default();
    let (reason, message) = match tls {
        ListenerTls::None => {
            return Finding::yes(
                about,
                PLAIN_HTTP,
                "the listener speaks plain HTTP, as the spec asks for (tls.none)",
            );
        }
        ListenerTls::Secret { name } if missing.contains(name) => {
            let message = format!(
                "Secret {name} does not exist: create it with tls.crt and tls.key; one of cert-manager comes once its \
                 Certificate is ready"
            );
            return Finding::no(about, SECRET_MISSING, message);
        }
        ListenerTls::Secret { name } => (SECRET_FOUND, format!("the certificate is in Secret {name}{valid}")),
        ListenerTls::SelfSigned { .. } if own.is_none() => {
            return Finding::no(about, NOT_ISSUED, "the operator has not issued a certificate yet");
        }
        ListenerTls::SelfSigned { .. } => {
            (ISSUED, format!("the operator issued the certificate by the resource's own authority{valid}"))
        }
    };
    if let Some((pod, problem)) = unusable(pods) {
        let message = format!("pod {pod} cannot use the certificate that it was given: {problem}");
        return Finding::no(about, CERTIFICATE_UNUSABLE, message);
    }
    match shown {
        Some(life) if life.not_after <= now => {
            let at = life.not_after;
            let place = match tls {
                ListenerTls::Secret { name } => format!(": put a new one in Secret {name}"),
                ListenerTls::SelfSigned { .. } | ListenerTls::None => String::new(),
            };
            Finding::no(about, EXPIRED, format!("the certificate expired at {at}{place}"))
        }
        Some(life) if is_near_its_end(life, now) => {
            Finding::yes(about, EXPIRES_SOON, format!("{message}: nothing has renewed it"))
        }
        _ => Finding::yes(about, reason, message),
    }
}

/// Returns the first pod that cannot use its certificate, and why.
fn unusable(pods: &[Report]) -> Option<(&str, &str)> {
    pods.iter()
        .find_map(|pod| Some((&pod.name[..], pod.status.as_ref()?.process.certificate_problem.as_deref()?)))
}

/// Returns whether a certificate is in the last sixth of its life, and at most in its last two weeks: whatever renews
/// certificates has done so by then.
fn is_near_its_end(life: Life, now: Timestamp) -> bool {
    let whole = life.not_before.map(|since| life.not_after.duration_since(since));
    let margin = whole.map_or(WARNING, |whole| WARNING.min(whole / 6));
    life.not_after.duration_since(now) < margin
}

/// Returns the time until the next reconcile, if nothing happens before. A pod whose sync was requested in vain may
/// still find what it waits for, and no event tells that the cause of a `creation_failure` is gone.
pub fn requeue_after(
    fault: Option<&Fault>,
    applied: &Applied,
    pods: &[Report],
    creation_failure: Option<&str>,
) -> Duration {
    match (fault, applied) {
        (Some(Fault::Refused(_)), _) | (_, Applied::NameConflict { .. } | Applied::Refused(_)) => BLOCKED,
        (_, Applied::Done) if pods.iter().any(|pod| pod.is_sync_requested) => SOON,
        (_, Applied::Done) if !waiting(pods).is_empty() || creation_failure.is_some() => BLOCKED,
        (_, Applied::Done) => LATER,
    }
}

/// Returns an obstacle for each Secret that the running spec refers to and that is not there.
pub fn secret_obstacles(missing: &BTreeSet<String>) -> Vec<Obstacle> {
    let obstacle = |name: &String| {
        let message = format!(
            "Secret {name} does not exist: create it; what refers to it accepts or delivers nothing until then"
        );
        Obstacle { reason: SECRET_MISSING, message }
    };
    missing.iter().map(obstacle).collect()
}

/// Returns an obstacle for each object that a new spec needs; the pods go on with the spec before.
pub fn awaited_obstacles(awaited: &BTreeSet<Awaited>) -> Vec<Obstacle> {
    let obstacle = |awaited: &Awaited| {
        let (reason, what) = match awaited {
            Awaited::Secret(name) => (SECRET_MISSING, format!("Secret {name} does not exist: create it")),
            Awaited::Key(SecretRef { name, key }) => {
                (SECRET_MISSING, format!("Secret {name} has no key {key}: add it"))
            }
            Awaited::Receiver(Unresolved { reason, message, .. }) => (*reason, message.clone()),
        };
        Obstacle { reason, message: format!("{what}; the pods keep the spec before this until then") }
    };
    awaited.iter().map(obstacle).collect()
}

/// Returns an obstacle for each kind of children that is asked for and that the cluster does not know.
pub fn missing_kinds(unknown: &BTreeSet<Kind>) -> impl Iterator<Item = Obstacle> {
    unknown.iter().map(|kind| {
        let gvk = kind.gvk();
        let field = match kind {
            Kind::HttpRoute | Kind::BackendTlsPolicy => "spec.httpRoute",
            Kind::ServiceMonitor => "spec.monitoring",
            _ => "spec.listener.tls.certManager",
        };
        let message = format!(
            "{field} needs kind {} of {}, which the cluster does not have: install it, or take the field away",
            gvk.kind, gvk.group
        );
        Obstacle { reason: API_MISSING, message }
    })
}
