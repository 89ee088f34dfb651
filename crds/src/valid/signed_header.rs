//! An HMAC in a header, which a source verifies and a destination creates, after validation.

use http::HeaderName;

pub use crate::api::{HmacAlgorithm, SignatureEncoding};

/// Header and content of an HMAC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeader {
    /// Name of the header.
    pub header: HeaderName,
    /// Hash function of the HMAC.
    pub algorithm: HmacAlgorithm,
    /// Form of the signature.
    pub encoding: SignatureEncoding,
    /// Text before the signature.
    pub prefix: String,
    /// Parts that are signed. [`Part::Body`] occurs once, [`Part::Timestamp`] only if there is a header for it.
    pub payload: Vec<Part>,
    /// Name of the header with the time.
    pub timestamp_header: Option<HeaderName>,
}

/// A part of the signed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text that does not change.
    Text(String),
    /// The text of the timestamp header.
    Timestamp,
    /// The bytes of the body.
    Body,
}
