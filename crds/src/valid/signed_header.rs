//! An HMAC in a header, as a source verifies it and a destination signs, checked.

pub use crate::api::{HmacAlgorithm, SignatureEncoding};

/// What an HMAC is of, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeader {
    /// The header, its name in small letters.
    pub header: String,
    /// The hash function.
    pub algorithm: HmacAlgorithm,
    /// How the signature is written.
    pub encoding: SignatureEncoding,
    /// What stands before it.
    pub prefix: String,
    /// What is signed; holds [`Part::Body`] once, and [`Part::Timestamp`] only if there is a header for it.
    pub payload: Vec<Part>,
    /// The header with the time, its name in small letters.
    pub timestamp_header: Option<String>,
}

/// A part of what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// This text.
    Text(String),
    /// The text of the timestamp header.
    Timestamp,
    /// The body's bytes.
    Body,
}
