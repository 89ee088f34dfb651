//! Slack: an HMAC of version, time and body. Before it sends events it sends a challenge.

use http::HeaderName;
use std::time::Duration;

use visnyk_crds::valid::{Part, SecretRef, SignatureEncoding, SignedHeader};
use visnyk_engine::event::Attributes;

use super::json::Json;
use super::secrets::Secrets;
use super::signature::{Signature, of_body};
use super::{Accepted, Answer, Classification, Provider, Rejection, Request};

/// Provider that verifies requests of Slack.
pub struct Slack(Signature);

impl Slack {
    /// Makes the provider with its signing secrets.
    pub fn new(refs: &[SecretRef], tolerance: Duration, secrets: &mut Secrets<'_>) -> Self {
        let text = |text: &str| Part::Text(text.into());
        let shape = SignedHeader {
            payload: vec![text("v0:"), Part::Timestamp, text(":"), Part::Body],
            timestamp_header: Some(HeaderName::from_static("x-slack-request-timestamp")),
            ..of_body("x-slack-signature", SignatureEncoding::Hex, "v0=")
        };
        Self(Signature::new(&shape, refs, secrets).with_tolerance(tolerance))
    }
}

impl Provider for Slack {
    fn verify(&self, request: &Request<'_>) -> Result<(), Rejection> {
        self.0.verify(request)
    }

    /// Returns an answer without a body, because a body would be shown to the user of a command, and is no answer to a
    /// `view_submission`.
    fn accepted(&self) -> Accepted {
        Accepted::BARE
    }

    fn describe(&self, request: &Request<'_>) -> Classification {
        let message = Json::of(request.body);
        let kind = message.text("type");
        if kind.as_deref() == Some("url_verification") {
            return Classification::Greeting(Answer::text(message.text("challenge").unwrap_or_default()));
        }
        let seconds = message.text("event_time").and_then(|time| time.parse::<i64>().ok());
        Classification::Event(Attributes {
            kind: message.at("event").text("type").or(kind),
            id: message.text("event_id"),
            origin: None,
            time_ms: seconds.and_then(|seconds| seconds.checked_mul(1000)),
        })
    }
}
