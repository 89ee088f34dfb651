//! An HMAC in a header, over the body and perhaps a time: what most senders do, each in its own words.

use std::time::Duration;

use http::HeaderName;
use jiff::Timestamp;
use subtle::Choice;
use visnyk_crds::valid::{HmacAlgorithm, Part, SecretRef, SignatureEncoding, SignedHeader};
use visnyk_runtime::crypto::MacKey;
use visnyk_runtime::crypto::signed_header::{notation, payload};

use super::secrets::Secrets;
use super::{Rejection, Request};

/// Checks an HMAC in a header.
pub struct Signature {
    keys: Vec<MacKey>,
    shape: SignedHeader,
    tolerance: Duration,
}

impl Signature {
    /// Of this shape. A time in it has to be now, to the second, unless it has a tolerance.
    pub fn new(shape: &SignedHeader, refs: &[SecretRef], secrets: &mut Secrets<'_>) -> Self {
        Self {
            keys: secrets.all(refs, |secret| MacKey::new(shape.algorithm, secret)),
            tolerance: Duration::ZERO,
            shape: shape.clone(),
        }
    }

    /// With a signed time that may be so far from now.
    pub fn with_tolerance(self, tolerance: Duration) -> Self {
        Self { tolerance, ..self }
    }

    /// Verifies that one of the secrets signed this request.
    pub fn verify(&self, request: &Request<'_>) -> Result<(), Rejection> {
        if self.keys.is_empty() {
            return Err(Rejection::NoSecret);
        }
        let written = request.only(&self.shape.header)?;
        let written = written.strip_prefix(self.shape.prefix.as_bytes()).ok_or(Rejection::Malformed)?;
        let signature = decode(self.shape.encoding, written)?;
        let mut timestamp = &b""[..];
        if let Some(header) = &self.shape.timestamp_header {
            timestamp = request.only(header)?;
            within(self.tolerance, seconds(timestamp)?, request.now)?;
        }
        any_signed(&self.keys, &payload(&self.shape, timestamp, request.body), &[&signature])
    }
}

/// The shape of an HMAC-SHA256 of the body alone.
pub fn of_body(header: &'static str, encoding: SignatureEncoding, prefix: &str) -> SignedHeader {
    SignedHeader {
        header: HeaderName::from_static(header),
        algorithm: HmacAlgorithm::SHA256,
        encoding,
        prefix: prefix.into(),
        payload: vec![Part::Body],
        timestamp_header: None,
    }
}

/// Returns whether any key made any of these signatures. Compares each with each, whichever fits first.
pub fn any_signed(keys: &[MacKey], payload: &[&[u8]], signatures: &[&[u8]]) -> Result<(), Rejection> {
    let mut any = Choice::from(0);
    for key in keys {
        let tag = key.tag(payload);
        for signature in signatures {
            any |= tag.is(signature);
        }
    }
    if bool::from(any) { Ok(()) } else { Err(Rejection::Wrong) }
}

/// The bytes of a signature: written in just one way, so that no two texts are the same signature.
pub fn decode(encoding: SignatureEncoding, written: &[u8]) -> Result<Vec<u8>, Rejection> {
    notation(encoding).decode(written).map_err(|_| Rejection::Malformed)
}

/// A time in whole seconds since the Unix epoch.
pub fn seconds(written: &[u8]) -> Result<Timestamp, Rejection> {
    let is_number = (1..=12).contains(&written.len()) && written.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(written).ok().filter(|_| is_number);
    let number = number.and_then(|digits| digits.parse().ok()).ok_or(Rejection::Malformed)?;
    Timestamp::from_second(number).map_err(|_| Rejection::Malformed)
}

/// Returns whether a signed time is near enough, both edges included.
pub fn within(tolerance: Duration, signed: Timestamp, now: Timestamp) -> Result<(), Rejection> {
    let apart = now.duration_since(signed).unsigned_abs();
    if apart <= tolerance { Ok(()) } else { Err(Rejection::Time) }
}
