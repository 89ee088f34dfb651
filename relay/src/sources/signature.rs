//! An HMAC in a header, over the body and perhaps a time: what most senders do, each in its own words.

use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};
use http::HeaderName;
use jiff::Timestamp;
use subtle::Choice;
use visnyk_crds::valid::{Hmac, HmacAlgorithm, Part, SecretRef, SignatureEncoding, TimestampAt};
use visnyk_engine::crypto::MacKey;

use super::secrets::Secrets;
use super::{Refusal, Request};

/// Checks an HMAC in a header.
pub struct Signature {
    keys: Vec<MacKey>,
    shape: Hmac,
    header: HeaderName,
    time: Option<(HeaderName, Duration)>,
}

impl Signature {
    /// Of this shape.
    pub fn new(shape: &Hmac, refs: &[SecretRef], secrets: &mut Secrets<'_>) -> Self {
        let name = |header: &str| {
            HeaderName::from_bytes(header.as_bytes()).expect("the manifest's header names are valid")
        };
        Self {
            keys: secrets.all(refs, |secret| MacKey::new(shape.algorithm, secret)),
            header: name(&shape.header),
            time: shape.timestamp.as_ref().map(|time| (name(&time.header), time.tolerance)),
            shape: shape.clone(),
        }
    }

    /// Whether one of the secrets signed this request.
    pub fn verify(&self, request: &Request<'_>) -> Result<(), Refusal> {
        if self.keys.is_empty() {
            return Err(Refusal::NoSecret);
        }
        let written = request.only(&self.header)?;
        let written = written.strip_prefix(self.shape.prefix.as_bytes()).ok_or(Refusal::Malformed)?;
        let signature = decode(self.shape.encoding, written)?;
        let mut timestamp = &b""[..];
        if let Some((header, tolerance)) = &self.time {
            timestamp = request.only(header)?;
            within(*tolerance, seconds(timestamp)?, request.now)?;
        }
        let payload: Vec<&[u8]> = self
            .shape
            .payload
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.as_bytes(),
                Part::Timestamp => timestamp,
                Part::Body => request.body,
            })
            .collect();
        any_signed(&self.keys, &payload, &[&signature])
    }
}

/// The shape of an HMAC-SHA256 of the body alone.
pub fn of_body(header: &str, encoding: SignatureEncoding, prefix: &str) -> Hmac {
    Hmac {
        header: header.into(),
        algorithm: HmacAlgorithm::SHA256,
        encoding,
        prefix: prefix.into(),
        payload: vec![Part::Body],
        timestamp: None,
    }
}

/// The shape of a hexadecimal HMAC-SHA256 of text, time, text and body.
pub fn of_time_and_body(header: &str, prefix: &str, texts: [&str; 2], timestamp: TimestampAt) -> Hmac {
    let [first, second] = texts.map(|text| Part::Text(text.into()));
    Hmac {
        payload: vec![first, Part::Timestamp, second, Part::Body],
        timestamp: Some(timestamp),
        ..of_body(header, SignatureEncoding::Hex, prefix)
    }
}

/// Whether any key made any of these signatures. Compares each with each, whichever fits first.
pub fn any_signed(keys: &[MacKey], payload: &[&[u8]], signatures: &[&[u8]]) -> Result<(), Refusal> {
    let mut any = Choice::from(0);
    for key in keys {
        let tag = key.tag(payload);
        for signature in signatures {
            any |= tag.is(signature);
        }
    }
    if bool::from(any) { Ok(()) } else { Err(Refusal::Wrong) }
}

/// The bytes of a signature: written in just one way, so that no two texts are the same signature.
pub fn decode(encoding: SignatureEncoding, written: &[u8]) -> Result<Vec<u8>, Refusal> {
    let decoded = match encoding {
        SignatureEncoding::Hex => HEXLOWER.decode(written),
        SignatureEncoding::Base64 => BASE64.decode(written),
    };
    decoded.map_err(|_| Refusal::Malformed)
}

/// A time in whole seconds since the Unix epoch.
pub fn seconds(written: &[u8]) -> Result<Timestamp, Refusal> {
    let is_number = (1..=12).contains(&written.len()) && written.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(written).ok().filter(|_| is_number);
    let number = number.and_then(|digits| digits.parse().ok()).ok_or(Refusal::Malformed)?;
    Timestamp::from_second(number).map_err(|_| Refusal::Malformed)
}

/// Whether a signed time is near enough, both edges included.
pub fn within(tolerance: Duration, signed: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    let apart = now.duration_since(signed).unsigned_abs();
    if apart <= tolerance { Ok(()) } else { Err(Refusal::Time) }
}
