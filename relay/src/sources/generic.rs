//! Senders that are no known provider, by the way in which they prove themselves.

use data_encoding::BASE64;
use http::header::AUTHORIZATION;
use visnyk_crds::valid::SecretRef;
use visnyk_runtime::crypto::Token;

use super::secrets::Secrets;
use super::signature::Signature;
use super::{Provider, Rejection, Request};

/// Provider that accepts every sender (`verify.none`).
pub struct Open;

/// Provider that verifies `Authorization: Bearer` (RFC 6750 section 2.1).
pub struct Bearer(pub Vec<Token>);

/// Provider that verifies `Authorization: Basic` (RFC 7617).
pub struct Basic(Vec<Token>);

/// Provider that verifies an HMAC as the manifest describes it.
pub struct Hmac(pub Signature);

impl Provider for Open {
    fn verify(&self, _: &Request<'_>) -> Result<(), Rejection> {
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
    fn challenge(&self) -> &'static str {
        "Bearer realm=\"visnyk\""
    }

    fn verify(&self, request: &Request<'_>) -> Result<(), Rejection> {
        is_any(&self.0, credentials(request, b"Bearer")?)
    }

    fn signs_body(&self) -> bool {
        false
    }

    fn takes_any_body(&self) -> bool {
        false
    }
}

impl Basic {
    /// Makes the provider for a user name and a password.
    pub fn new(username: &SecretRef, password: &SecretRef, secrets: &mut Secrets<'_>) -> Self {
        let colon = |name: Vec<u8>| if name.contains(&b':') { Err("has a colon") } else { Ok(name) };
        let username = secrets.read_as(username, colon);
        let password = secrets.read(password);
        let both = username.zip(password).map(|(username, password)| [username, password].join(&b':'));
        Self(both.iter().map(|both| Token::new(both)).collect())
    }
}

impl Provider for Basic {
    fn challenge(&self) -> &'static str {
        "Basic realm=\"visnyk\", charset=\"UTF-8\""
    }

    fn verify(&self, request: &Request<'_>) -> Result<(), Rejection> {
        let written = credentials(request, b"Basic")?;
        is_any(&self.0, &BASE64.decode(written).map_err(|_| Rejection::Malformed)?)
    }

    fn signs_body(&self) -> bool {
        false
    }

    fn takes_any_body(&self) -> bool {
        false
    }
}

impl Provider for Hmac {
    fn verify(&self, request: &Request<'_>) -> Result<(), Rejection> {
        self.0.verify(request)
    }
}

/// Returns whether any of these tokens is presented.
pub fn is_any(tokens: &[Token], presented: &[u8]) -> Result<(), Rejection> {
    if tokens.is_empty() {
        Err(Rejection::NoSecret)
    } else if Token::is_any(tokens, presented) {
        Ok(())
    } else {
        Err(Rejection::Wrong)
    }
}

/// Returns what stands behind the scheme, whose letters may be small or large, and the spaces after it.
fn credentials<'a>(request: &Request<'a>, scheme: &[u8]) -> Result<&'a [u8], Rejection> {
    let header = request.only(&AUTHORIZATION)?;
    let (found, rest) = header.split_at_checked(scheme.len()).ok_or(Rejection::Malformed)?;
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    if found.eq_ignore_ascii_case(scheme) && spaces > 0 {
        Ok(&rest[spaces..])
    } else {
        Err(Rejection::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::Message;

    #[test]
    fn scheme_and_token_may_be_separated_by_several_spaces() {
        let judge = |value: &str| {
            let message = Message::post("/", &[("authorization", value)], "");
            message.judged_at(0, |request| Bearer(vec![Token::new(b"a b")]).verify(request)).unwrap()
        };
        for value in ["Bearer a b", "bearer   a b"] {
            assert_eq!(judge(value), Ok(()), "{value}");
        }
        for value in ["Bearera b", "Bearer", "Basic a b", "Bearer\ta b"] {
            assert_eq!(judge(value), Err(Rejection::Malformed), "{value}");
        }
        assert_eq!(judge("Bearer a  b"), Err(Rejection::Wrong));
    }

    #[test]
    fn each_source_challenges_by_its_own_scheme() {
        let basic = Basic(Vec::new());
        assert!(basic.challenge().starts_with("Basic realm="));
        assert!(Bearer(Vec::new()).challenge().starts_with("Bearer realm="));
        assert!(!Open.challenge().starts_with('B'));
    }
}
