//! The publisher of Kubernetes Events.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tracing::warn;

/// Publishes Events. Clones share what was published, so that a repetition counts up one Event.
#[derive(Clone)]
pub struct Events(Recorder);

/// Maximum length of a note that an API server accepts.
const NOTE: usize = 1024;

impl Events {
    /// Returns a publisher in the name of one operator.
    pub fn new(client: Client, identity: &str) -> Self {
        let reporter = Reporter { controller: "visnyk-operator".into(), instance: Some(identity.into()) };
        Self(Recorder::new(client, reporter))
    }

    /// Publishes an Event of type Warning.
    pub async fn warning(&self, object: &ObjectReference, action: &str, reason: &str, note: &str) {
        self.publish(object, &event(EventType::Warning, action, reason, note)).await;
    }

    /// Publishes an Event. A failure is logged and fails nothing.
    pub async fn publish(&self, object: &ObjectReference, event: &Event) {
        if let Err(error) = self.0.publish(event, object).await {
            warn!(%error, reason = event.reason, "event cannot be published");
        }
    }
}

/// Returns an Event; a note that is longer than an API server takes is cut.
pub fn event(type_: EventType, action: &str, reason: &str, note: &str) -> Event {
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
    use super::*;

    #[test]
    fn note_is_cut_at_a_letter_to_what_an_api_server_takes() {
        let long = format!("a{}", "і".repeat(NOTE));
        let note = event(EventType::Warning, "Apply", "Api", &long).note.unwrap();
        assert_eq!(note.len(), NOTE - 1);
    }
}
