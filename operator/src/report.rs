//! What can be said of a resource of either kind, as findings. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use visnyk_crds::api::Status;
use visnyk_crds::valid::ListenerTls;

use crate::apply::Applied;
use crate::build::Data;
use crate::child::Kind;
use crate::conditions::{Finding, conditions, summed_up};
use crate::meta::{ADOPT, Owner, Role};
use crate::pods::{Life, Report, shown};
use crate::reasons::{
    CERTIFICATE_UNUSABLE, EPHEMERAL, EXPIRED, EXPIRES_SOON, FAILED_CREATE, MANIFEST_PROBLEM, NO_POD_READY,
    NOT_ISSUED, NOTHING_VALID, SCALED_TO_ZERO, SPREADING, STATE_LOST,
};
use crate::runnable::Fault;
use crate::visit::{BLOCKED, Certificates, LATER, SOON, Visit};

/// The conditions that `Ready` sums up.
pub const NEEDED: &[&str] = &["Accepted", "CertificateReady", "Programmed", "Available"];

/// Time before its end at which a certificate is warned of, if it lives for a quarter of a year or longer.
const WARNING: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What stands in the way of a configuration that is valid by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// In a word.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// What is said of what a resource's pods do, from the first visit on.
fn of_pods(role: Role) -> &'static [&'static str] {
    match role {
        Role::Relay => &["Available", "CertificateReady", "Durable", "Delivering"],
        Role::Collector => &["Available", "CertificateReady", "Durable"],
    }
}

/// What holds of a resource whose visit failed and will fail again until something changes. What was said of the rest
/// is still the last that is known of it.
pub fn failed(
    role: Role,
    before: &Status,
    (reason, why): (&'static str, String),
    generation: Option<i64>,
    now: Timestamp,
) -> Status {
    let mut findings = summed_up(vec![Finding::no("Accepted", reason, why)], NEEDED);
    if before.conditions.is_empty() {
        let rest = ["Programmed"].iter().chain(of_pods(role)).copied();
        findings.extend(rest.map(|about| Finding::unknown(about, reason, "no visit has come that far yet")));
    }
    let mut now_known = conditions(&before.conditions, findings, generation, now);
    let is_said_anew = |was: &Condition| now_known.iter().any(|one| one.type_ == was.type_);
    let rest: Vec<Condition> = before.conditions.iter().filter(|was| !is_said_anew(was)).cloned().collect();
    now_known.extend(rest);
    Status { observed_generation: generation, conditions: now_known, ..before.clone() }
}

/// The report on a resource of which no valid spec is known.
pub fn nothing_runs(owner: &Owner, fault: Option<&Fault>) -> Visit {
    let none = |about| Finding::unknown(about, NOTHING_VALID, "no valid spec is known");
    let mut findings = vec![accepted(fault, None, &[]), programmed(None, 0, &[], &[])];
    findings.extend(of_pods(owner.role).iter().copied().map(none));
    Visit {
        findings: summed_up(findings, NEEDED),
        url: None,
        pods: (0, owner.pods_selector()),
        again: if matches!(fault, Some(Fault::Refused(_))) { BLOCKED } else { LATER },
        certificates: Certificates::default(),
    }
}

/// How the message of `Accepted` begins where the spec is valid and has parts without effect.
pub const WARNED: &str = "the spec is valid, but ";

/// Whether the spec is valid and its children could be made. `warnings` name the parts of it that have no effect.
pub fn accepted(fault: Option<&Fault>, applied: Option<&Applied>, warnings: &[String]) -> Finding {
    match (fault, applied) {
        (Some(Fault::Invalid(problems)), _) => {
            let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Finding::no("Accepted", "Invalid", all.join("; "))
        }
        (Some(Fault::Refused(why)), _) | (None, Some(Applied::Refused(why))) => {
            Finding::no("Accepted", "Refused", why)
        }
        (None, Some(Applied::NameConflict { names, are_orphans })) => {
            let way = if *are_orphans {
                format!(
                    "; they were made for a resource of this name: annotate this one with {ADOPT}=true to adopt them"
                )
            } else {
                String::new()
            };
            let names = names.join(", ");
            let message = format!("{names} already there and not of this resource: nothing was changed{way}");
            Finding::no("Accepted", "NameConflict", message)
        }
        (None, Some(Applied::Done) | None) if warnings.is_empty() => {
            Finding::yes("Accepted", "Valid", "the spec is valid")
        }
        (None, Some(Applied::Done) | None) => {
            Finding::yes("Accepted", "Valid", format!("{WARNED}{}", warnings.join("; ")))
        }
    }
}

/// Whether every pod runs the configuration `hash`, and all that it refers to is there.
pub fn programmed(hash: Option<&str>, replicas: u16, pods: &[Report], obstacles: &[Obstacle]) -> Finding {
    let Some(hash) = hash else {
        return Finding::no("Programmed", NOTHING_VALID, "no valid spec is known");
    };
    if let Some(first) = obstacles.first() {
        let all: Vec<&str> = obstacles.iter().map(|obstacle| &obstacle.message[..]).collect();
        return Finding::no("Programmed", first.reason, all.join("; "));
    }
    let running = pods.iter().filter(|pod| pod.runs(hash)).count();
    if running == pods.len() && running == usize::from(replicas) {
        if let Some((pod, why)) = waiting(pods).next() {
            return Finding::no("Programmed", "Waiting", format!("{pod}, {why}"));
        }
        return Finding::yes("Programmed", "Programmed", format!("{running} of {replicas} pods run it"));
    }
    let said = format!("{running} of {replicas} pods run it");
    let others = || pods.iter().filter(|pod| !pod.runs(hash));
    let problem = |pod: &Report| {
        Some(format!("{said}; {}: {}", pod.name, pod.status.as_ref()?.manifest_problem.as_ref()?))
    };
    if let Some(message) = others().find_map(problem) {
        return Finding::no("Programmed", MANIFEST_PROBLEM, message);
    }
    let waits = others().next().map(|pod| {
        let why = if pod.status.is_some() { "runs another" } else { "does not answer yet" };
        format!("; {} {why}", pod.name)
    });
    Finding::no("Programmed", SPREADING, said + &waits.unwrap_or_default())
}

/// Pods that lack a file, and which.
fn waiting(pods: &[Report]) -> impl Iterator<Item = (&str, String)> {
    pods.iter().filter_map(|pod| Some((&pod.name[..], pod.status.as_ref()?.waits()?)))
}

/// Whether events can be accepted; `unmade` is why there are fewer pods than there should be.
pub fn available(replicas: u16, pods: &[Report], unmade: Option<&str>) -> Finding {
    let ready = pods.iter().filter(|pod| pod.is_ready).count();
    let trouble = pods.iter().find_map(|pod| Some(format!("; {}: {}", pod.name, pod.trouble.as_ref()?)));
    let refusal = unmade.map(|why| format!("; no pod is made: {why}"));
    let why = refusal.or(trouble).unwrap_or_default();
    let message = format!("{ready} of {replicas} pods are ready{why}");
    match ready {
        _ if replicas == 0 => Finding::no("Available", SCALED_TO_ZERO, "there are to be no pods"),
        0 if unmade.is_some() => Finding::no("Available", FAILED_CREATE, message),
        0 => Finding::no("Available", NO_POD_READY, message),
        ready if ready < usize::from(replicas) => Finding::yes("Available", "SomeReady", message),
        _ => Finding::yes("Available", "AllReady", message),
    }
}

/// Whether data outlive a pod.
pub fn durable(data: &Data<'_>, pods: &[Report]) -> Finding {
    if let Data::Ephemeral { .. } = data {
        return Finding::no(
            "Durable",
            EPHEMERAL,
            "what is not delivered is lost with its pod, as the spec says",
        );
    }
    let lost = pods.iter().find_map(|pod| {
        let status = pod.status.as_ref()?;
        let aside = status.state_set_aside.as_ref().map(|path| format!("was damaged and is now {path}"));
        let how = aside.or_else(|| status.state_lost.then(|| "was lost".to_owned()))?;
        Some(format!("{}: the state file {how}: deliveries repeat, and some events may be lost", pod.name))
    });
    match lost {
        Some(lost) => Finding::no("Durable", STATE_LOST, lost),
        None => Finding::yes("Durable", "Persistent", "data are on volumes of their own"),
    }
}

/// Whether the listener has a certificate that clients accept. `own` is when one of the resource's own authority expires.
pub fn certificate(
    tls: &ListenerTls,
    missing: &BTreeSet<String>,
    own: Option<Timestamp>,
    pods: &[Report],
    now: Timestamp,
) -> Finding {
    let (about, shown) = ("CertificateReady", shown(pods));
    let until = own.or(shown.map(|life| life.not_after));
    let valid = until.map(|until| format!(", valid until {until}")).unwrap_or_default();
    let (reason, message) = match tls {
        ListenerTls::None => return Finding::yes(about, "PlainHttp", "the spec asks for none"),
        ListenerTls::Secret { name } if missing.contains(name) => {
            return Finding::no(about, "SecretMissing", format!("Secret {name} is not there"));
        }
        ListenerTls::Secret { name } => ("SecretFound", format!("it is in Secret {name}{valid}")),
        ListenerTls::SelfSigned { .. } if own.is_none() => {
            return Finding::no(about, NOT_ISSUED, "there is no certificate yet");
        }
        ListenerTls::SelfSigned { .. } => {
            ("Issued", format!("issued by the resource's own authority{valid}"))
        }
    };
    if let Some((pod, problem)) = unusable(pods) {
        return Finding::no(about, CERTIFICATE_UNUSABLE, format!("{pod}: {problem}"));
    }
    match shown {
        Some(life) if life.not_after <= now => {
            let at = life.not_after;
            Finding::no(
                about,
                EXPIRED,
                format!("the certificate has expired at {at}: put a new one in place"),
            )
        }
        Some(life) if is_near_its_end(life, now) => Finding::yes(about, EXPIRES_SOON, message),
        _ => Finding::yes(about, reason, message),
    }
}

/// The first pod that cannot use its certificate, and why.
fn unusable(pods: &[Report]) -> Option<(&str, &str)> {
    pods.iter().find_map(|pod| Some((&pod.name[..], pod.status.as_ref()?.certificate_problem.as_deref()?)))
}

/// The last sixth of a certificate's life, and at most the last two weeks: whatever renews certificates has done so by
/// then.
fn is_near_its_end(life: Life, now: Timestamp) -> bool {
    let whole = life.not_before.map(|since| life.not_after.duration_since(since));
    let margin = whole.map_or(WARNING, |whole| WARNING.min(whole / 6));
    life.not_after.duration_since(now) < margin
}

/// When to look again, if nothing happens before. A pod that was nudged in vain may still find what it waits for, and
/// nobody tells why pods are `unmade`.
pub fn again(fault: Option<&Fault>, applied: &Applied, pods: &[Report], unmade: Option<&str>) -> Duration {
    match (fault, applied) {
        (Some(Fault::Refused(_)), _) | (_, Applied::NameConflict { .. } | Applied::Refused(_)) => BLOCKED,
        (_, Applied::Done) if pods.iter().any(|pod| pod.is_nudged) => SOON,
        (_, Applied::Done) if waiting(pods).next().is_some() || unmade.is_some() => BLOCKED,
        (_, Applied::Done) => LATER,
    }
}

/// Secrets that are referred to and not there; the pods go on with the spec before while they wait for the `awaited`.
pub fn secret_obstacles(missing: &BTreeSet<String>, awaited: &BTreeSet<String>) -> Vec<Obstacle> {
    let obstacle = |name: &String| {
        let meanwhile =
            if awaited.contains(name) { ": the pods keep the spec before this until it is" } else { "" };
        Obstacle { reason: "SecretMissing", message: format!("Secret {name} is not there{meanwhile}") }
    };
    missing.iter().map(obstacle).collect()
}

/// Kinds of children that are asked for and that the cluster does not know.
pub fn missing_kinds(unknown: &BTreeSet<Kind>) -> impl Iterator<Item = Obstacle> {
    unknown.iter().map(|kind| {
        let gvk = kind.gvk();
        let message = format!("the cluster does not know {} of {}", gvk.kind, gvk.group);
        Obstacle { reason: "ApiMissing", message }
    })
}
