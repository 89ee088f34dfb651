//! Stripe: a header with the time and several HMACs of time and body.

use std::time::Duration;

use http::HeaderName;
use visnyk_crds::valid::{HmacAlgorithm, SecretRef, SignatureEncoding};
use visnyk_engine::event::Attributes;
use visnyk_runtime::crypto::MacKey;

use super::json::Json;
use super::secrets::Secrets;
use super::signature::{any_signed, decode, seconds, within};
use super::{Classification, Provider, Rejection, Request};

const SIGNATURE: HeaderName = HeaderName::from_static("stripe-signature");
/// Maximum number of signatures. Stripe sends one for each valid secret, and each costs a comparison.
const MAX_SIGNATURES: usize = 16;

/// Provider that verifies requests of Stripe.
pub struct Stripe {
    keys: Vec<MacKey>,
    tolerance: Duration,
}

impl Stripe {
    /// Makes the provider with the endpoint's secrets.
    pub fn new(refs: &[SecretRef], tolerance: Duration, secrets: &mut Secrets<'_>) -> Self {
        let keys = secrets.all(refs, |secret| MacKey::new(HmacAlgorithm::SHA256, secret));
        Self { keys, tolerance }
    }
}

impl Provider for Stripe {
    fn verify(&self, request: &Request<'_>) -> Result<(), Rejection> {
        if self.keys.is_empty() {
            return Err(Rejection::NoSecret);
        }
        let (mut timestamp, mut signatures) = (None, Vec::new());
        for element in request.only(&SIGNATURE)?.split(|byte| *byte == b',') {
            // Other names are of other schemes; v0 is one for tests, which anyone could choose over v1.
            if let Some(time) = element.strip_prefix(b"t=") {
                if timestamp.replace(time).is_some() {
                    return Err(Rejection::Malformed);
                }
            } else if let Some(signature) = element.strip_prefix(b"v1=") {
                signatures.push(decode(SignatureEncoding::Hex, signature)?);
            } else if !element.contains(&b'=') {
                return Err(Rejection::Malformed);
            }
        }
        let timestamp = timestamp.ok_or(Rejection::Malformed)?;
        if signatures.is_empty() || signatures.len() > MAX_SIGNATURES {
            return Err(Rejection::Malformed);
        }
        within(self.tolerance, seconds(timestamp)?, request.now)?;
        let signatures: Vec<&[u8]> = signatures.iter().map(Vec::as_slice).collect();
        any_signed(&self.keys, &[timestamp, b".", request.body], &signatures)
    }

    fn describe(&self, request: &Request<'_>) -> Classification {
        let event = Json::of(request.body);
        let seconds = event.text("created").and_then(|time| time.parse::<i64>().ok());
        Classification::Event(Attributes {
            kind: event.text("type"),
            id: event.text("id"),
            origin: None,
            time_ms: seconds.and_then(|seconds| seconds.checked_mul(1000)),
        })
    }
}
