//! Twilio: an HMAC-SHA1 of the URL and, one behind the other, the sorted names and values of the form; for any other
//! body, of the URL alone, which then holds the body's hash.

use aws_lc_rs::digest;
use http::HeaderName;
use subtle::ConstantTimeEq;
use visnyk_crds::valid::{HmacAlgorithm, SecretRef, SignatureEncoding};
use visnyk_engine::event::Attributes;
use visnyk_runtime::crypto::MacKey;

use super::secrets::Secrets;
use super::signature::{any_signed, decode};
use super::{Accepted, Classification, Provider, Rejection, Request, form};

const SIGNATURE: HeaderName = HeaderName::from_static("x-twilio-signature");
const BODY_HASH: &[u8] = b"bodySHA256";
/// Maximum number of fields of a form; Twilio sends some dozens. Each may cost fifty times its two bytes before the
/// sender is verified.
const MAX_FIELDS: usize = 1_000;
const FORM: &str = "application/x-www-form-urlencoded";
/// Fields that say what happened, the more telling first.
const KINDS: [&[u8]; 3] = [b"MessageStatus", b"CallStatus", b"SmsStatus"];

/// Provider that verifies requests of Twilio.
pub struct Twilio {
    keys: Vec<MacKey>,
    /// The signed URLs: with and without a port.
    public_urls: Vec<String>,
}

impl Twilio {
    /// Makes the provider with the account's auth tokens.
    pub fn new(refs: &[SecretRef], public_url: &str, secrets: &mut Secrets<'_>) -> Self {
        let keys = secrets.all(refs, |secret| MacKey::new(HmacAlgorithm::SHA1, secret));
        Self { keys, public_urls: with_and_without_port(public_url) }
    }
}

impl Provider for Twilio {
    fn verify(&self, request: &Request<'_>) -> Result<(), Rejection> {
        if self.keys.is_empty() {
            return Err(Rejection::NoSecret);
        }
        let signature = decode(SignatureEncoding::Base64, request.only(&SIGNATURE)?)?;
        let query = request.head.uri.query();
        let mut signed = Vec::new();
        if let Some(query) = query {
            signed.extend([&b"?"[..], query.as_bytes()]);
        }
        let query = parse_fields(query.unwrap_or_default().as_bytes())?;
        let hashes: Vec<_> = query.iter().filter(|(name, _)| name == BODY_HASH).collect();
        let fields = match hashes[..] {
            // The URL's hash vouches for the body, whatever its type says, and nothing else does.
            [(_, hash)] => {
                let expected = decode(SignatureEncoding::Hex, hash)?;
                let found = digest::digest(&digest::SHA256, request.body);
                if !bool::from(found.as_ref().ct_eq(&expected)) {
                    return Err(Rejection::Wrong);
                }
                Vec::new()
            }
            [] if request.media_type() == FORM => {
                let mut fields = parse_fields(request.body)?;
                fields.sort_unstable();
                fields.dedup();
                fields
            }
            [] => return Err(Rejection::Malformed),
            _ => return Err(Rejection::Repeated),
        };
        signed.extend(fields.iter().flat_map(|(name, value)| [name.as_slice(), value.as_slice()]));
        // Each is tried, whichever fits first.
        let judged: Vec<_> = self
            .public_urls
            .iter()
            .map(|url| any_signed(&self.keys, &[&[url.as_bytes()][..], &signed].concat(), &[&signature]))
            .collect();
        judged.into_iter().min_by_key(Result::is_err).unwrap_or(Err(Rejection::Wrong))
    }

    /// An empty document of `TwiML`: any other type is an error for Twilio.
    fn accepted(&self) -> Accepted {
        Accepted {
            content_type: Some("text/xml"),
            body: "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>\n",
        }
    }

    fn describe(&self, request: &Request<'_>) -> Classification {
        let form = if request.media_type() == FORM { request.body } else { &[] };
        let telling = |(name, value): &form::Pair| KINDS.contains(&name.as_slice()) && !value.is_empty();
        let fields: Vec<_> = form::pairs(form).filter(telling).collect();
        let text = |kind: &[u8]| {
            let (_, value) = fields.iter().find(|(name, _)| name == kind)?;
            String::from_utf8(value.clone()).ok()
        };
        Classification::Event(Attributes {
            kind: KINDS.iter().find_map(|name| text(name)),
            id: request.text("i-twilio-idempotency-token"),
            ..Attributes::default()
        })
    }
}

/// Returns a URL in the two ways that Twilio's products sign it: without a port, and with its own or the scheme's.
fn with_and_without_port(url: &str) -> Vec<String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => (host, port),
        _ => (authority, if scheme.eq_ignore_ascii_case("http") { "80" } else { "443" }),
    };
    vec![format!("{scheme}://{host}{path}"), format!("{scheme}://{host}:{port}{path}")]
}

/// The fields of a form that may be forged.
fn parse_fields(encoded: &[u8]) -> Result<Vec<form::Pair>, Rejection> {
    let fields: Vec<_> = form::pairs(encoded).take(MAX_FIELDS + 1).collect();
    if fields.len() > MAX_FIELDS { Err(Rejection::Malformed) } else { Ok(fields) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_is_signed_with_or_without_its_port() {
        for (url, port) in [
            ("https://x.example.org/hook", "https://x.example.org:443/hook"),
            ("http://x.example.org", "http://x.example.org:80"),
            ("https://[2001:db8::1]/hook", "https://[2001:db8::1]:443/hook"),
        ] {
            assert_eq!(with_and_without_port(url), [url, port]);
            assert_eq!(with_and_without_port(port), [url, port]);
        }
        let other = "https://x.example.org:8443/hook";
        assert_eq!(with_and_without_port(other), ["https://x.example.org/hook", other]);
    }

    #[test]
    fn form_of_more_fields_than_anyone_sends_is_refused() {
        let fields = parse_fields("a=1&".repeat(MAX_FIELDS).as_bytes()).unwrap();
        assert_eq!(fields.len(), MAX_FIELDS);
        assert_eq!(parse_fields("a=1&".repeat(MAX_FIELDS + 1).as_bytes()), Err(Rejection::Malformed));
    }
}
