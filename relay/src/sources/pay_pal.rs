//! PayPal: an RSA signature of id, time, webhook and checksum, by a certificate that the message itself names.

mod certificates;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use futures::future::BoxFuture;
use http::HeaderName;
use jiff::Timestamp;
use visnyk_engine::event::Attributes;
use visnyk_runtime::crypto::VerifiedPublicKey;

use super::json::Json;
use super::signature::within;
use super::{Classification, Provider, Rejection, Request, rfc3339};

pub use certificates::{Certificates, PayPalCertificates};

const ID: HeaderName = HeaderName::from_static("paypal-transmission-id");
const TIME: HeaderName = HeaderName::from_static("paypal-transmission-time");
const SIGNATURE: HeaderName = HeaderName::from_static("paypal-transmission-sig");
const ALGORITHM: HeaderName = HeaderName::from_static("paypal-auth-algo");
const CERTIFICATE: HeaderName = HeaderName::from_static("paypal-cert-url");

/// Provider that verifies requests of PayPal.
pub struct PayPal {
    webhook_id: String,
    tolerance: Duration,
    certificates: Arc<Certificates>,
}

/// The claims of a message.
struct Claim<'a> {
    message: String,
    signature: Vec<u8>,
    certificate: &'a str,
}

impl PayPal {
    /// Makes the provider for this webhook id.
    pub fn new(webhook_id: &str, tolerance: Duration, certificates: Arc<Certificates>) -> Self {
        Self { webhook_id: webhook_id.to_owned(), tolerance, certificates }
    }

    /// Reads the claims of a message without verifying the signature.
    fn claim<'a>(&self, request: &Request<'a>) -> Result<Claim<'a>, Rejection> {
        let (id, time, signature) =
            (only_text(request, &ID)?, only_text(request, &TIME)?, only_text(request, &SIGNATURE)?);
        // A bar parts what is signed: with one inside, two messages could be signed alike.
        if id.contains('|') || only_text(request, &ALGORITHM)? != "SHA256withRSA" {
            return Err(Rejection::Malformed);
        }
        let signed: Timestamp = time.parse().map_err(|_| Rejection::Malformed)?;
        within(self.tolerance, signed, request.now)?;
        let certificate = only_text(request, &CERTIFICATE)?;
        if !self.certificates.may_be(certificate) {
            return Err(Rejection::Malformed);
        }
        let checksum = crc32fast::hash(request.body);
        Ok(Claim {
            message: format!("{id}|{time}|{}|{checksum}", self.webhook_id),
            signature: BASE64.decode(signature.as_bytes()).map_err(|_| Rejection::Malformed)?,
            certificate,
        })
    }
}

/// Returns the text of a header that must be there once.
fn only_text<'a>(request: &Request<'a>, name: &HeaderName) -> Result<&'a str, Rejection> {
    let text = std::str::from_utf8(request.only(name)?).map_err(|_| Rejection::Malformed)?;
    if text.is_empty() { Err(Rejection::Malformed) } else { Ok(text) }
}

impl Provider for PayPal {
    fn prepare<'a>(&'a self, request: &Request<'a>) -> Option<BoxFuture<'a, ()>> {
        let claim = self.claim(request).ok()?;
        self.certificates.fetch_if_missing(claim.certificate, request.now)
    }

    fn verify(&self, request: &Request<'_>) -> Result<(), Rejection> {
        let claim = self.claim(request)?;
        let key: Arc<VerifiedPublicKey> =
            self.certificates.known(claim.certificate, request.now).ok_or(Rejection::NoCertificate)?;
        let is_signed = key.has_signed(claim.message.as_bytes(), &claim.signature);
        if is_signed { Ok(()) } else { Err(Rejection::Wrong) }
    }

    fn describe(&self, request: &Request<'_>) -> Classification {
        let event = Json::of(request.body);
        Classification::Event(Attributes {
            kind: event.text("event_type"),
            id: event.text("id"),
            origin: None,
            time_ms: event.text("create_time").and_then(|time| rfc3339(&time)),
        })
    }
}
