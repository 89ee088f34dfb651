//! Senders of which no more is known than how they prove themselves.

use data_encoding::BASE64;
use http::header::AUTHORIZATION;
use visnyk_crds::valid::SecretRef;
use visnyk_engine::crypto::Token;

use super::secrets::Secrets;
use super::signature::Signature;
use super::{Provider, Refusal, Request};

/// Anyone.
pub struct Open;

/// `Authorization: Bearer` (RFC 6750 section 2.1).
pub struct Bearer(pub Vec<Token>);

/// `Authorization: Basic` (RFC 7617).
pub struct Basic(Vec<Token>);

/// An HMAC as the manifest describes it.
pub struct Hmac(pub Signature);

impl Provider for Open {
    fn verify(&self, _: &Request<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn signs_body(&self) -> bool {
        false
    }

    fn takes_any_body(&self) -> bool {
        false
    }
}

impl Provider for Bearer {
    fn verify(&self, request: &Request<'_>) -> Result<(), Refusal> {
        is_any(&self.0, credentials(request, b"Bearer ")?)
    }

    fn signs_body(&self) -> bool {
        false
    }

    fn takes_any_body(&self) -> bool {
        false
    }
}

impl Basic {
    /// Of a user name and a password.
    pub fn new(username: &SecretRef, password: &SecretRef, secrets: &mut Secrets<'_>) -> Self {
        let colon = |name: Vec<u8>| if name.contains(&b':') { Err("has a colon") } else { Ok(name) };
        let username = secrets.read_as(username, colon);
        let password = secrets.read(password);
        let both = username.zip(password).map(|(username, password)| [username, password].join(&b':'));
        Self(both.iter().map(|both| Token::new(both)).collect())
    }
}

impl Provider for Basic {
    fn verify(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let written = credentials(request, b"Basic ")?;
        is_any(&self.0, &BASE64.decode(written).map_err(|_| Refusal::Malformed)?)
    }

    fn signs_body(&self) -> bool {
        false
    }

    fn takes_any_body(&self) -> bool {
        false
    }
}

impl Provider for Hmac {
    fn verify(&self, request: &Request<'_>) -> Result<(), Refusal> {
        self.0.verify(request)
    }
}

/// Whether any of these tokens is presented.
pub fn is_any(tokens: &[Token], presented: &[u8]) -> Result<(), Refusal> {
    if tokens.is_empty() {
        Err(Refusal::NoSecret)
    } else if Token::is_any(tokens, presented) {
        Ok(())
    } else {
        Err(Refusal::Wrong)
    }
}

/// What stands behind the scheme, whose letters may be small or large.
fn credentials<'a>(request: &Request<'a>, scheme: &[u8]) -> Result<&'a [u8], Refusal> {
    let header = request.only(&AUTHORIZATION)?;
    let (found, credentials) = header.split_at_checked(scheme.len()).ok_or(Refusal::Malformed)?;
    if found.eq_ignore_ascii_case(scheme) { Ok(credentials) } else { Err(Refusal::Malformed) }
}
