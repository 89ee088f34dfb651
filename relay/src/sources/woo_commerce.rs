//! WooCommerce: an HMAC of the body. When a webhook is saved it is pinged, unsigned.

use http::{HeaderName, Method};
use visnyk_engine::event::Attributes;

use super::signature::Signature;
use super::{Answer, Classification, Provider, Rejection, Request};

const SIGNATURE: HeaderName = HeaderName::from_static("x-wc-webhook-signature");
/// All there is in a ping, before the webhook's number.
const PING: &[u8] = b"webhook_id=";

/// Provider that verifies requests of WooCommerce.
pub struct WooCommerce(pub Signature);

impl Provider for WooCommerce {
    fn verify(&self, request: &Request<'_>) -> Result<(), Rejection> {
        self.0.verify(request)
    }

    fn describe(&self, request: &Request<'_>) -> Classification {
        Classification::Event(Attributes {
            kind: request.text("x-wc-webhook-topic"),
            id: request.text("x-wc-webhook-delivery-id"),
            ..Attributes::default()
        })
    }

    fn greet(&self, request: &Request<'_>) -> Option<Result<Answer, Rejection>> {
        let number = request.body.strip_prefix(PING)?;
        let is_ping = request.head.method == Method::POST
            && !request.head.headers.contains_key(SIGNATURE)
            && (1..=20).contains(&number.len())
            && number.iter().all(u8::is_ascii_digit);
        is_ping.then(|| Ok(Answer::bare()))
    }
}
