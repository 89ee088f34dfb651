//! Kubernetes Events: what `kubectl describe` shows below a resource. Only changes are told: a condition that
//! became another, a failure that began. What stays as it is, is in the conditions.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tracing::warn;

use crate::reasons::{PAUSED, WARNINGS};

/// Publishes Events. Clones share what was published, so that a repetition counts up one Event.
#[derive(Clone)]
pub struct Events(Recorder);

/// The longest note that an API server takes.
const NOTE: usize = 1024;

impl Events {
    /// Events in the name of one operator.
    pub fn new(client: Client, identity: &str) -> Self {
        let reporter = Reporter { controller: "visnyk-operator".into(), instance: Some(identity.into()) };
        Self(Recorder::new(client, reporter))
    }

    /// Tells which conditions of an object became others.
    pub async fn changed(&self, object: &ObjectReference, before: &[Condition], after: &[Condition]) {
        for event in changes(before, after) {
            self.publish(object, &event).await;
        }
    }

    /// Tells that something failed or needs a look.
    pub async fn warning(&self, object: &ObjectReference, action: &str, reason: &str, note: &str) {
        self.publish(object, &event(EventType::Warning, action, reason, note)).await;
    }

    /// An Event is a courtesy: that it cannot be published fails nothing.
    async fn publish(&self, object: &ObjectReference, event: &Event) {
        if let Err(error) = self.0.publish(event, object).await {
            warn!(%error, reason = event.reason, "event cannot be published");
        }
    }
}

/// The condition that a mistake in the spec fails.
const ACCEPTED: &str = "Accepted";

/// One Event for each condition whose status or reason is another than before. How a resource begins is told only
/// where it is refused: the others are on their way.
fn changes(before: &[Condition], after: &[Condition]) -> Vec<Event> {
    let changed = |condition: &&Condition| match before.iter().find(|was| was.type_ == condition.type_) {
        Some(was) => (&was.status, &was.reason) != (&condition.status, &condition.reason),
        None => (condition.type_ == ACCEPTED && condition.status == "False") || condition.type_ == PAUSED,
    };
    let told = |condition: &Condition| {
        let is_warning = condition.status == "False" || WARNINGS.contains(&&condition.reason[..]);
        let kind = if is_warning { EventType::Warning } else { EventType::Normal };
        event(kind, &condition.type_, &condition.reason, &condition.message)
    };
    after.iter().filter(changed).map(told).collect()
}

fn event(type_: EventType, action: &str, reason: &str, note: &str) -> Event {
    let end = note.floor_char_boundary(NOTE);
    Event {
        type_,
        reason: reason.into(),
        note: Some(note[..end].into()),
        action: action.into(),
        secondary: None,
    }
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

    #[test]
    fn only_what_changed_is_told() {
        let before = [condition("Accepted", "True", "Valid"), condition("Available", "True", "Running")];
        assert_eq!(told(&before, &before), []);
        let after = [before[0].clone(), condition("Available", "False", "NoPods")];
        let warning = |type_: &str, reason: &str| {
            (EventType::Warning, type_.into(), reason.into(), format!("{type_} because of {reason}"))
        };
        assert_eq!(told(&before, &after), [warning("Available", "NoPods")]);
        let (_, action, reason, note) = warning("Available", "Running");
        assert_eq!(told(&after, &before), [(EventType::Normal, action, reason, note)]);
        let soon = [condition("CertificateReady", "True", "ExpiresSoon")];
        let issued = [condition("CertificateReady", "True", "SecretFound")];
        assert_eq!(told(&issued, &soon), [warning("CertificateReady", "ExpiresSoon")]);
        // A beginning is no news, a refusal is.
        assert_eq!(told(&[], &after), []);
        let refused = [condition("Accepted", "False", "Invalid"), condition("Ready", "False", "Invalid")];
        assert_eq!(told(&[], &refused), [warning("Accepted", "Invalid")]);
    }

    #[test]
    fn note_is_cut_at_a_letter_to_what_an_api_server_takes() {
        let long = format!("a{}", "і".repeat(NOTE));
        let note = event(EventType::Warning, "Apply", "Api", &long).note.unwrap();
        assert_eq!(note.len(), NOTE - 1);
    }
}
