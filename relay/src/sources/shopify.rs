//! Shopify: an HMAC of the body. Its headers are not signed.

use visnyk_engine::event::Attributes;

use super::signature::Signature;
use super::{Classification, Provider, Rejection, Request};

/// Provider that verifies requests of Shopify.
pub struct Shopify(pub Signature);

impl Provider for Shopify {
    fn verify(&self, request: &Request<'_>) -> Result<(), Rejection> {
        self.0.verify(request)
    }

    fn describe(&self, request: &Request<'_>) -> Classification {
        let triggered = request.text("x-shopify-triggered-at");
        let kind = request.text("x-shopify-topic");
        let event = request.text("x-shopify-event-id");
        Classification::Event(Attributes {
            // One event may be told under several topics.
            id: event.zip(kind.as_ref()).map(|(event, topic)| format!("{event}/{topic}")),
            kind,
            origin: None,
            time_ms: triggered.and_then(|time| super::rfc3339(&time)),
        })
    }
}
