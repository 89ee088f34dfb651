//! Signatures of requests: made for each attempt, over the bytes that are sent.

use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use uuid::Uuid;
use visnyk_crds::valid::{Sign, SignedHeader};
use visnyk_runtime::crypto::MacKey;
use visnyk_runtime::crypto::signed_header::{notation, payload};
use visnyk_runtime::crypto::standard_webhooks::{SigningKey, signed};
use visnyk_runtime::host::secrets::Secrets;

use crate::deliver::format::{Message, WEBHOOK_ID, WEBHOOK_TIMESTAMP};

const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Signs the requests of one destination.
pub enum Signer {
    /// A signature by each key, while one replaces another.
    StandardWebhooks(Vec<SigningKey>),
    /// An HMAC as the manifest describes it.
    Hmac {
        /// Key of the signature.
        key: Box<MacKey>,
        /// Signed content, and header of the signature.
        shape: SignedHeader,
    },
}

impl Signer {
    /// Reads the signer; `None` if one of its secrets cannot be used: half of the signatures would fail at half of the
    /// receivers.
    pub fn read(sign: &Sign, secrets: &mut Secrets<'_>) -> Option<Self> {
        match sign {
            Sign::StandardWebhooks { secrets: refs } => {
                let parse = |text: Vec<u8>| SigningKey::parse(&text);
                let keys: Vec<_> = refs.iter().map(|secret| secrets.read_as(secret, parse)).collect();
                keys.into_iter().collect::<Option<_>>().map(Self::StandardWebhooks)
            }
            Sign::Hmac { secret, signature } => {
                let key = Box::new(MacKey::new(signature.algorithm, &secrets.read(secret)?));
                Some(Self::Hmac { key, shape: signature.clone() })
            }
        }
    }

    /// Adds the headers that prove the message; `at` is the time of the attempt.
    pub fn sign(&self, message: &mut Message, at: Timestamp) {
        match self {
            Self::StandardWebhooks(keys) => standard_webhooks(keys, message, at),
            Self::Hmac { key, shape } => hmac(key, shape, message, at),
        }
    }
}

fn standard_webhooks(keys: &[SigningKey], message: &mut Message, at: Timestamp) {
    // A sign of life is no event and has no id of its own, and is not taken for genuine without one.
    let id = message.headers.entry(WEBHOOK_ID).or_insert_with(|| text(&Uuid::new_v4().to_string())).clone();
    let timestamp = HeaderValue::from(at.as_second());
    let signed = signed(id.as_bytes(), timestamp.as_bytes(), &message.body);
    let signatures: Vec<String> = keys.iter().map(|key| key.sign(&signed)).collect();
    message.headers.insert(WEBHOOK_SIGNATURE, text(&signatures.join(" ")));
    message.headers.insert(WEBHOOK_TIMESTAMP, timestamp);
}

fn hmac(key: &MacKey, shape: &SignedHeader, message: &mut Message, at: Timestamp) {
    let timestamp = at.as_second().to_string();
    let tag = key.tag(&payload(shape, timestamp.as_bytes(), &message.body));
    let written = notation(shape.encoding).encode(tag.as_ref());
    message.headers.insert(shape.header.clone(), text(&format!("{}{written}", shape.prefix)));
    if let Some(header) = &shape.timestamp_header {
        message.headers.insert(header.clone(), text(&timestamp));
    }
}

/// Makes a header's value of printable ASCII: the schema requires it of a prefix, and base64 is.
fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("a prefix, digits and base64 are printable")
}

#[cfg(test)]
mod tests;
