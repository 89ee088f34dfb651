//! An HMAC in a header, described in the same words for a source that verifies it and a destination that signs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::text::{HeaderName, HeaderPrefix, SignedPayload};

/// What is wrong with a payload that leaves out the body.
pub(crate) const NO_BODY: &str = "must hold {body} once";
/// What is wrong with a time that no signature covers, or a signed one that is nowhere.
pub(crate) const TIME: &str = "timestampHeader and {timestamp} in payload need each other";

/// What an HMAC is of, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SignedHeader {
    /// The header that holds the signature.
    pub header: HeaderName,
    /// The hash function.
    #[serde(default)]
    pub algorithm: HmacAlgorithm,
    /// How the signature is written.
    #[serde(default)]
    pub encoding: SignatureEncoding,
    /// What stands before the signature in its header; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<HeaderPrefix>,
    /// What is signed: text with `{body}` for the body's bytes, and `{timestamp}` for the text of the timestamp
    /// header.
    #[serde(default = "whole_body")]
    #[schemars(extend("x-kubernetes-validations" = json!([
        { "rule": "self.split('{body}').size() == 2", "message": NO_BODY },
    ])))]
    pub payload: SignedPayload,
    /// The header that holds the time, in seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_header: Option<HeaderName>,
}

/// A hash function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum HmacAlgorithm {
    /// SHA-1, for senders that know no better.
    SHA1,
    /// SHA-256.
    #[default]
    SHA256,
    /// SHA-384.
    SHA384,
    /// SHA-512.
    SHA512,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum SignatureEncoding {
    /// Hexadecimal digits, small letters.
    #[default]
    Hex,
    /// Base64 with `+`, `/` and padding.
    Base64,
}

/// The CEL rule of objects that hold the fields of [`SignedHeader`].
pub(super) fn time_is_signed() -> Value {
    json!([{
        "rule": "has(self.timestampHeader) == self.payload.contains('{timestamp}')",
        "message": TIME,
    }])
}

fn whole_body() -> SignedPayload {
    SignedPayload::from("{body}")
}
