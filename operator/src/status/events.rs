//! Kubernetes Events: what `kubectl describe` shows below a resource. Only changes are told: a condition that
//! became another, a failure that began. What stays as it is, is in the conditions.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType};

use crate::process::events::{Events, event};
use crate::status::reasons::{INTENDED, PAUSED, READY, STARTING, WARNINGS};
use crate::status::report::WARNED;

/// Publishes which conditions of an object became others.
pub async fn publish_changes(
    events: &Events,
    object: &ObjectReference,
    before: &[Condition],
    after: &[Condition],
) {
    for event in changes(before, after) {
        events.publish(object, &event).await;
    }
}

/// Returns one Event for each condition that changed. The first conditions of a resource become Events only where they
/// are a fault.
fn changes(before: &[Condition], after: &[Condition]) -> Vec<Event> {
    let told = |condition: &Condition| {
        let was = before.iter().find(|was| was.type_ == condition.type_);
        let is_fault = is_fault(was, condition);
        if !is_told(was, condition, is_fault) {
            return None;
        }
        let kind = if is_fault { EventType::Warning } else { EventType::Normal };
        let reason = if is_warned(condition) { SPEC_WARNING } else { &condition.reason };
        Some(event(kind, &condition.type_, reason, &condition.message))
    };
    after.iter().filter_map(told).collect()
}

/// The reason of an Event about a valid spec with parts that have no effect.
const SPEC_WARNING: &str = "SpecWarning";

/// Returns whether it is the condition of a valid spec with parts that have no effect.
fn is_warned(condition: &Condition) -> bool {
    condition.status == "True" && condition.message.starts_with(WARNED)
}

/// Returns whether a change of a condition is published. `Ready` only repeats the reason of another condition: of it
/// only the status counts.
fn is_told(was: Option<&Condition>, condition: &Condition, is_fault: bool) -> bool {
    let is_sum = condition.type_ == READY;
    match was {
        Some(was) if is_warned(condition) => was.message != condition.message,
        None => (is_fault && !is_sum) || condition.type_ == PAUSED,
        Some(was) => was.status != condition.status || (!is_sum && was.reason != condition.reason),
    }
}

/// Returns whether a condition needs attention. A resource that starts meets most conditions only after a while.
fn is_fault(was: Option<&Condition>, condition: &Condition) -> bool {
    let reason = &&condition.reason[..];
    if condition.status != "False" {
        return WARNINGS.contains(reason) || is_warned(condition);
    }
    let was_met = was.is_some_and(|was| was.status == "True");
    !INTENDED.contains(reason) && (was_met || !STARTING.contains(reason))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn condition(type_: &str, status: &str, reason: &str) -> Condition {
        Condition {
            type_: type_.into(),
            status: status.into(),
            reason: reason.into(),
            message: format!("{type_} because of {reason}"),
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
            observed_generation: None,
        }
    }

    fn told(before: &[Condition], after: &[Condition]) -> Vec<(EventType, String, String, String)> {
        let events = changes(before, after).into_iter();
        events.map(|event| (event.type_, event.action, event.reason, event.note.unwrap())).collect()
    }

    fn warning(type_: &str, reason: &str) -> (EventType, String, String, String) {
        (EventType::Warning, type_.into(), reason.into(), format!("{type_} because of {reason}"))
    }

    fn normal(type_: &str, reason: &str) -> (EventType, String, String, String) {
        let (_, action, reason, note) = warning(type_, reason);
        (EventType::Normal, action, reason, note)
    }

    #[test]
    fn only_what_changed_is_told() {
        let before = [condition("Accepted", "True", "Valid"), condition("Available", "True", "AllReady")];
        assert_eq!(told(&before, &before), []);
        let after = [before[0].clone(), condition("Available", "False", "NoPodReady")];
        assert_eq!(told(&before, &after), [warning("Available", "NoPodReady")]);
        assert_eq!(told(&after, &before), [normal("Available", "AllReady")]);
        let soon = [condition("CertificateReady", "True", "ExpiresSoon")];
        let issued = [condition("CertificateReady", "True", "SecretFound")];
        assert_eq!(told(&issued, &soon), [warning("CertificateReady", "ExpiresSoon")]);
        let (draining, kept) = ("Draining", "Undelivered");
        let retained = |reason: &str| [condition("SpoolRetained", "True", reason)];
        assert_eq!(told(&retained(draining), &retained(kept)), [warning("SpoolRetained", kept)]);
    }

    #[test]
    fn healthy_start_has_no_warning() {
        let conditions = |all: &[(&str, &str, &str)]| {
            all.iter().map(|(type_, status, reason)| condition(type_, status, reason)).collect::<Vec<_>>()
        };
        let first = conditions(&[
            ("Ready", "False", "NotIssued"),
            ("Accepted", "True", "Valid"),
            ("CertificateReady", "False", "NotIssued"),
            ("Programmed", "False", "NotIssued"),
            ("Available", "False", "NoPodReady"),
            ("Durable", "False", "Ephemeral"),
            ("Delivering", "Unknown", "NoAnswer"),
        ]);
        assert_eq!(told(&[], &first), []);
        let mut starting = first.clone();
        starting[0] = condition("Ready", "False", "Spreading");
        starting[2] = condition("CertificateReady", "True", "Issued");
        starting[3] = condition("Programmed", "False", "Spreading");
        assert_eq!(
            told(&first, &starting),
            [normal("CertificateReady", "Issued"), normal("Programmed", "Spreading")]
        );
        let mut up = starting.clone();
        up[0] = condition("Ready", "True", "AsWanted");
        up[3] = condition("Programmed", "True", "Programmed");
        up[4] = condition("Available", "True", "AllReady");
        up[6] = condition("Delivering", "True", "KeepingUp");
        let all = told(&starting, &up);
        assert_eq!(all.len(), 4, "{all:?}");
        assert!(all.iter().all(|(kind, ..)| *kind == EventType::Normal), "{all:?}");
        // A change that pods take up, and a scale to zero, are wanted.
        let mut changed = up.clone();
        changed[0] = condition("Ready", "False", "Spreading");
        changed[3] = condition("Programmed", "False", "Spreading");
        changed[4] = condition("Available", "False", "ScaledToZero");
        assert!(told(&up, &changed).iter().all(|(kind, ..)| *kind == EventType::Normal));
    }

    #[test]
    fn fault_that_a_resource_starts_with_is_a_warning() {
        for (type_, reason) in [
            ("Accepted", "Invalid"),
            ("Programmed", "SecretMissing"),
            ("CertificateReady", "SecretMissing"),
            ("Available", "FailedCreate"),
        ] {
            let first = [condition("Ready", "False", reason), condition(type_, "False", reason)];
            assert_eq!(told(&[], &first), [warning(type_, reason)]);
        }
        let invalid =
            [condition("Accepted", "False", "Invalid"), condition("Programmed", "False", "NothingValid")];
        assert_eq!(told(&[], &invalid), [warning("Accepted", "Invalid")]);
    }

    #[test]
    fn part_of_a_spec_without_effect_is_warned_of_once() {
        let accepted = |message: &str| {
            [Condition { message: message.to_owned(), ..condition("Accepted", "True", "Valid") }]
        };
        let [plain, one, other] =
            ["the spec is valid", "the spec is valid, but one", "the spec is valid, but other"];
        let warning =
            |note: &str| (EventType::Warning, "Accepted".into(), "SpecWarning".into(), note.to_owned());
        assert_eq!(told(&[], &accepted(plain)), []);
        for before in [&[][..], &accepted(plain), &accepted(other)] {
            assert_eq!(told(before, &accepted(one)), [warning(one)]);
        }
        assert_eq!(told(&accepted(one), &accepted(one)), []);
        assert_eq!(told(&accepted(one), &accepted(plain)), []);
    }
}
