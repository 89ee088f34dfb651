//! Conditions of a resource: from findings of this reconcile and the conditions of the last one.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Time for which `Delivering` keeps its status: a destination that comes and goes is not worth a write each time.
const HELD: SignedDuration = SignedDuration::from_secs(30);

/// Status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionStatus {
    /// The condition holds (`True`).
    Yes,
    /// The condition does not hold (`False`).
    No,
    /// It is not known whether the condition holds.
    Unknown,
}

impl ConditionStatus {
    fn text(self) -> &'static str {
        match self {
            Self::Yes => "True",
            Self::No => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// Finding of a reconcile about one condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Type of the condition.
    pub about: &'static str,
    /// Status of the condition.
    pub holds: ConditionStatus,
    /// Reason of the condition, in CamelCase.
    pub reason: &'static str,
    /// Message of the condition.
    pub message: String,
}

impl Finding {
    /// Returns a finding that the condition holds.
    pub fn yes(about: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { about, holds: ConditionStatus::Yes, reason, message: message.into() }
    }

    /// Returns a finding that the condition does not hold.
    pub fn no(about: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { about, holds: ConditionStatus::No, reason, message: message.into() }
    }

    /// Returns a finding that the condition is not known.
    pub fn unknown(about: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { about, holds: ConditionStatus::Unknown, reason, message: message.into() }
    }
}

/// Puts `Ready` before the findings: the first of those it `depends_on` that does not hold is why it does not.
pub fn summed_up(findings: Vec<Finding>, depends_on: &[&str]) -> Vec<Finding> {
    let trouble =
        findings.iter().find(|one| depends_on.contains(&one.about) && one.holds != ConditionStatus::Yes);
    let ready = match trouble {
        Some(trouble) => Finding {
            about: READY,
            holds: ConditionStatus::No,
            reason: trouble.reason,
            message: format!("{}: {}", trouble.about, trouble.message),
        },
        None => Finding::yes(READY, AS_WANTED, "the spec is applied, and pods accept events"),
    };
    std::iter::once(ready).chain(findings).collect()
}

/// Returns the conditions now. The time of a condition is when its status last changed.
pub fn conditions(
    before: &[Condition],
    findings: Vec<Finding>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let each = findings.into_iter();
    each.map(|finding| {
        let was = before.iter().find(|condition| condition.type_ == finding.about);
        if let Some(held) = was.filter(|was| is_held(was, &finding, now)) {
            return held.clone();
        }
        let since =
            was.filter(|was| was.status == finding.holds.text()).map(|was| was.last_transition_time.clone());
        Condition {
            type_: finding.about.to_owned(),
            status: finding.holds.text().to_owned(),
            reason: finding.reason.to_owned(),
            message: cut(finding.message),
            last_transition_time: since.unwrap_or(Time(now)),
            observed_generation: generation,
        }
    })
    .collect()
}

fn is_held(was: &Condition, finding: &Finding, now: Timestamp) -> bool {
    let is_fresh = now.duration_since(was.last_transition_time.0) < HELD;
    let was_known = was.status != ConditionStatus::Unknown.text();
    finding.about == DELIVERING && is_fresh && was_known && was.status != finding.holds.text()
}

/// Cuts a message: that of a condition may have at most 32 KiB, and few read as much.
fn cut(message: String) -> String {
    let end = message.floor_char_boundary(2048);
    if end == message.len() { message } else { format!("{}...", &message[..end]) }
}
use crate::status::reasons::{AS_WANTED, DELIVERING, READY};

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn shown(conditions: &[Condition]) -> Vec<(&str, &str, i64)> {
        conditions
            .iter()
            .map(|one| (&one.type_[..], &one.status[..], one.last_transition_time.0.as_second()))
            .collect()
    }

    #[test]
    fn time_of_a_condition_is_that_of_its_status() {
        let first = conditions(&[], vec![Finding::no("Available", "NoPods", "none")], Some(1), at(10));
        let second = conditions(&first, vec![Finding::no("Available", "Starting", "one")], Some(2), at(20));
        let third = conditions(&second, vec![Finding::yes("Available", "Running", "one")], Some(2), at(30));
        assert_eq!(shown(&first), [("Available", "False", 10)]);
        assert_eq!((shown(&second), &second[0].reason[..]), (vec![("Available", "False", 10)], "Starting"));
        assert_eq!(shown(&third), [("Available", "True", 30)]);
    }

    #[test]
    fn delivering_is_held_for_half_a_minute() {
        let yes = || vec![Finding::yes("Delivering", "KeepingUp", "")];
        let no = || vec![Finding::no("Delivering", "Behind", "")];
        let first = conditions(&[], yes(), None, at(100));
        let held = conditions(&first, no(), None, at(129));
        assert_eq!(held, first);
        assert_eq!(shown(&conditions(&held, no(), None, at(130))), [("Delivering", "False", 130)]);
    }

    #[test]
    fn ready_says_the_first_reason_against_it() {
        let findings = vec![
            Finding::yes("Accepted", "Valid", ""),
            Finding::no("Durable", "Ephemeral", "not at all"),
            Finding::no("Available", "NoPods", "none of 2"),
        ];
        let ready = &summed_up(findings.clone(), &["Accepted", "Available"])[0];
        assert_eq!(*ready, Finding::no("Ready", "NoPods", "Available: none of 2"));
        assert_eq!(summed_up(findings, &["Accepted"])[0].holds, ConditionStatus::Yes);
    }
}
