//! An HMAC in a header: the same fields for a source that verifies it and a destination that signs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::text::{HeaderName, HeaderPrefix, SignedPayload};

/// Error text for a payload without the body.
pub(crate) const NO_BODY: &str = "must contain {body} exactly once";
/// Error text for a time that is not signed, or a signed time without a header.
pub(crate) const TIME: &str = "timestampHeader and {timestamp} in payload must be used together";

/// Header and content of an HMAC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SignedHeader {
    /// Name of the header that holds the signature, for example `X-Signature`.
    pub header: HeaderName,
    /// Hash function of the HMAC: `SHA1`, `SHA256`, `SHA384` or `SHA512`. Default `SHA256`.
    #[serde(default)]
    pub algorithm: HmacAlgorithm,
    /// Form of the signature. `Hex`: hexadecimal digits in lowercase. `Base64`: standard base64 with padding. Default
    /// `Hex`.
    #[serde(default)]
    pub encoding: SignatureEncoding,
    /// Text before the signature in its header, for example `sha256=`. Absent: no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<HeaderPrefix>,
    /// Text that is signed. `{body}` stands for the bytes of the body and must occur once; `{timestamp}` for the text
    /// of `timestampHeader`. Example: `{timestamp}.{body}`. Default `{body}`.
    #[serde(default = "whole_body")]
    #[schemars(extend("x-kubernetes-validations" = json!([
        { "rule": "self.split('{body}').size() == 2", "message": NO_BODY },
    ])))]
    pub payload: SignedPayload,
    /// Name of the header that holds the time, in seconds since the Unix epoch. Needs `{timestamp}` in `payload`.
    /// Absent: no time is signed, so a recorded request can be sent again at any time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_header: Option<HeaderName>,
}

/// A hash function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum HmacAlgorithm {
    /// SHA-1, for old senders.
    SHA1,
    /// SHA-256.
    #[default]
    SHA256,
    /// SHA-384.
    SHA384,
    /// SHA-512.
    SHA512,
}

/// Form of a signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum SignatureEncoding {
    /// Hexadecimal digits in lowercase.
    #[default]
    Hex,
    /// Base64 with `+`, `/` and padding.
    Base64,
}

/// Returns the CEL rule of objects that have the fields of [`SignedHeader`].
pub(super) fn time_is_signed() -> Value {
    json!([{
        "rule": "has(self.timestampHeader) == (has(self.payload) && self.payload.contains('{timestamp}'))",
        "message": TIME,
    }])
}

fn whole_body() -> SignedPayload {
    SignedPayload::from("{body}")
}
