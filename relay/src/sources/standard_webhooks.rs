//! Standard Webhooks, and Svix, which it comes from: HMACs or Ed25519 signatures of id, time and body.

use std::time::Duration;

use http::HeaderName;
use jiff::Timestamp;
use subtle::Choice;
use visnyk_crds::valid::{SecretRef, SignatureEncoding};
use visnyk_engine::event::Attributes;
use visnyk_runtime::crypto::standard_webhooks::{VerifyingKey, signed};

use super::json::Json;
use super::secrets::Secrets;
use super::signature::{decode, seconds, within};
use super::{Classification, Provider, Rejection, Request, cloud_events, rfc3339};

/// Id, time and signature.
type Names = [HeaderName; 3];

const WEBHOOK: Names = [
    HeaderName::from_static("webhook-id"),
    HeaderName::from_static("webhook-timestamp"),
    HeaderName::from_static("webhook-signature"),
];
const SVIX: Names = [
    HeaderName::from_static("svix-id"),
    HeaderName::from_static("svix-timestamp"),
    HeaderName::from_static("svix-signature"),
];
/// Maximum number of signatures. A sender signs with each of its keys, and each signature costs a comparison, or much
/// more for v1a.
const MAX_SIGNATURES: usize = 16;

/// Provider that verifies senders of Standard Webhooks.
pub struct StandardWebhooks {
    keys: Vec<VerifyingKey>,
    tolerance: Duration,
}

impl StandardWebhooks {
    /// Makes the provider with secrets and public keys.
    pub fn new(refs: &[SecretRef], tolerance: Duration, secrets: &mut Secrets<'_>) -> Self {
        let parse = |text: Vec<u8>| VerifyingKey::parse(&text);
        let keys = refs.iter().filter_map(|secret| secrets.read_as(secret, parse)).collect();
        Self::with(keys, tolerance)
    }

    /// Makes the provider with these keys.
    pub fn with(keys: Vec<VerifyingKey>, tolerance: Duration) -> Self {
        Self { keys, tolerance }
    }
}

impl Provider for StandardWebhooks {
    fn verify(&self, request: &Request<'_>) -> Result<(), Rejection> {
        if self.keys.is_empty() {
            return Err(Rejection::NoSecret);
        }
        let [id, timestamp, signatures] = names(request).each_ref().map(|name| request.only(name));
        let (id, timestamp, signatures) = (id?, timestamp?, signatures?);
        // A full stop parts id from time: with one inside, two messages could be signed alike.
        if id.is_empty() || id.contains(&b'.') {
            return Err(Rejection::Malformed);
        }
        within(self.tolerance, seconds(timestamp)?, request.now)?;
        let (mut v1, mut v1a) = (Vec::new(), Vec::new());
        for element in signatures.split(|byte| *byte == b' ') {
            if let Some(signature) = element.strip_prefix(b"v1,") {
                v1.push(decode(SignatureEncoding::Base64, signature)?);
            } else if let Some(signature) = element.strip_prefix(b"v1a,") {
                v1a.push(decode(SignatureEncoding::Base64, signature)?);
            } else if !element.contains(&b',') {
                return Err(Rejection::Malformed);
            }
        }
        if v1.is_empty() && v1a.is_empty() || v1.len() + v1a.len() > MAX_SIGNATURES {
            return Err(Rejection::Malformed);
        }

        let message = signed(id, timestamp, request.body);
        let mut any = Choice::from(0);
        for key in &self.keys {
            if let Some(tag) = key.tag(&message) {
                for signature in &v1 {
                    any |= tag.is(signature);
                }
            }
            for signature in &v1a {
                any |= Choice::from(u8::from(key.has_signed(&message, signature)));
            }
        }
        if bool::from(any) { Ok(()) } else { Err(Rejection::Wrong) }
    }

    fn describe(&self, request: &Request<'_>) -> Classification {
        let [id, timestamp, _] = names(request).each_ref().map(|name| request.only(name));
        let id = id.ok().and_then(|id| String::from_utf8(id.to_vec()).ok());
        let sent = timestamp.ok().and_then(|time| seconds(time).ok()).map(Timestamp::as_millisecond);
        match cloud_events::describe(request) {
            // The signed id is the same when it is sent again.
            Classification::Event(said) if said != Attributes::default() => {
                Classification::Event(Attributes { id, origin: None, ..said })
            }
            Classification::Event(_) => {
                let event = Json::of(request.body);
                let time_ms = event.text("timestamp").and_then(|time| rfc3339(&time)).or(sent);
                Classification::Event(Attributes { kind: event.text("type"), id, origin: None, time_ms })
            }
            other => other,
        }
    }
}

/// The headers of this request's dialect.
fn names(request: &Request<'_>) -> Names {
    if request.head.headers.contains_key(&WEBHOOK[2]) { WEBHOOK } else { SVIX }
}
