//! Twilio: an HMAC-SHA1 of the URL and, one behind the other, the sorted names and values of the form; for any other
//! body, of the URL alone, which then holds the body's hash.

use aws_lc_rs::digest;
use http::HeaderName;
use subtle::ConstantTimeEq;
use visnyk_crds::valid::{HmacAlgorithm, SecretRef, SignatureEncoding};
use visnyk_engine::crypto::MacKey;
use visnyk_engine::event::Attributes;

use super::secrets::Secrets;
use super::signature::{any_signed, decode};
use super::{Provider, Refusal, Request, Said, form};

const SIGNATURE: HeaderName = HeaderName::from_static("x-twilio-signature");
const BODY_HASH: &[u8] = b"bodySHA256";
/// More fields are nobody's form: Twilio sends some dozens. Each may cost fifty times its two bytes, and that before
/// it is known who sent it.
const MOST_FIELDS: usize = 1_000;
const FORM: &str = "application/x-www-form-urlencoded";
/// Fields that say what happened, the more telling first.
const KINDS: [&[u8]; 3] = [b"MessageStatus", b"CallStatus", b"SmsStatus"];

/// Knows Twilio.
pub struct Twilio {
    keys: Vec<MacKey>,
    public_url: String,
}

impl Twilio {
    /// By the account's auth tokens.
    pub fn new(refs: &[SecretRef], public_url: &str, secrets: &mut Secrets<'_>) -> Self {
        let keys = secrets.all(refs, |secret| MacKey::new(HmacAlgorithm::SHA1, secret));
        Self { keys, public_url: public_url.to_owned() }
    }
}

impl Provider for Twilio {
    fn verify(&self, request: &Request<'_>) -> Result<(), Refusal> {
        if self.keys.is_empty() {
            return Err(Refusal::NoSecret);
        }
        let signature = decode(SignatureEncoding::Base64, request.only(&SIGNATURE)?)?;
        let query = request.head.uri.query();
        let mut signed = vec![self.public_url.as_bytes()];
        if let Some(query) = query {
            signed.extend([b"?", query.as_bytes()]);
        }
        let query = parse_fields(query.unwrap_or_default().as_bytes())?;
        let hashes: Vec<_> = query.iter().filter(|(name, _)| name == BODY_HASH).collect();
        let fields = match hashes[..] {
            // The URL's hash vouches for the body, whatever its type says, and nothing else does.
            [(_, hash)] => {
                let expected = decode(SignatureEncoding::Hex, hash)?;
                let found = digest::digest(&digest::SHA256, request.body);
                if !bool::from(found.as_ref().ct_eq(&expected)) {
                    return Err(Refusal::Wrong);
                }
                Vec::new()
            }
            [] if request.media_type() == FORM => {
                let mut fields = parse_fields(request.body)?;
                fields.sort_unstable();
                fields.dedup();
                fields
            }
            [] => return Err(Refusal::Malformed),
            _ => return Err(Refusal::Repeated),
        };
        signed.extend(fields.iter().flat_map(|(name, value)| [name.as_slice(), value.as_slice()]));
        any_signed(&self.keys, &signed, &[&signature])
    }

    fn describe(&self, request: &Request<'_>) -> Said {
        let form = if request.media_type() == FORM { request.body } else { &[] };
        let telling = |(name, value): &form::Pair| KINDS.contains(&name.as_slice()) && !value.is_empty();
        let fields: Vec<_> = form::pairs(form).filter(telling).collect();
        let text = |kind: &[u8]| {
            let (_, value) = fields.iter().find(|(name, _)| name == kind)?;
            String::from_utf8(value.clone()).ok()
        };
        Said::Event(Attributes {
            kind: KINDS.iter().find_map(|name| text(name)),
            id: request.text("i-twilio-idempotency-token"),
            ..Attributes::default()
        })
    }
}

/// The fields of a form that may be forged.
fn parse_fields(encoded: &[u8]) -> Result<Vec<form::Pair>, Refusal> {
    let fields: Vec<_> = form::pairs(encoded).take(MOST_FIELDS + 1).collect();
    if fields.len() > MOST_FIELDS { Err(Refusal::Malformed) } else { Ok(fields) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_of_more_fields_than_anyone_sends_is_refused() {
        let fields = parse_fields("a=1&".repeat(MOST_FIELDS).as_bytes()).unwrap();
        assert_eq!(fields.len(), MOST_FIELDS);
        assert_eq!(parse_fields("a=1&".repeat(MOST_FIELDS + 1).as_bytes()), Err(Refusal::Malformed));
    }
}
