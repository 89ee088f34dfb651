//! GitLab: a token in a header, or, with a signing token, Standard Webhooks.

use std::time::Duration;

use http::HeaderName;
use visnyk_crds::valid::SecretRef;
use visnyk_engine::event::Attributes;
use visnyk_runtime::crypto::Token;
use visnyk_runtime::crypto::standard_webhooks::{VerifyingKey, is_secret};

use super::generic::is_any;
use super::secrets::Secrets;
use super::standard_webhooks::StandardWebhooks;
use super::{Classification, Provider, Rejection, Request};

const TOKEN: HeaderName = HeaderName::from_static("x-gitlab-token");

/// Provider that verifies requests of GitLab.
pub struct GitLab {
    tokens: Vec<Token>,
    signed: Option<StandardWebhooks>,
}

enum Secret {
    Plain(Token),
    Signing(VerifyingKey),
}

impl GitLab {
    /// Makes the provider with secret tokens and signing tokens.
    pub fn new(refs: &[SecretRef], tolerance: Duration, secrets: &mut Secrets<'_>) -> Self {
        let (mut tokens, mut keys) = (Vec::new(), Vec::new());
        for secret in refs {
            let parse = |text: Vec<u8>| {
                if is_secret(&text) {
                    VerifyingKey::parse(&text).map(Secret::Signing)
                } else {
                    Ok(Secret::Plain(Token::new(&text)))
                }
            };
            match secrets.read_as(secret, parse) {
                Some(Secret::Plain(token)) => tokens.push(token),
                Some(Secret::Signing(key)) => keys.push(key),
                None => {}
            }
        }
        let signed = (!keys.is_empty()).then(|| StandardWebhooks::with(keys, tolerance));
        Self { tokens, signed }
    }
}

impl Provider for GitLab {
    fn verify(&self, request: &Request<'_>) -> Result<(), Rejection> {
        let by_token = || {
            if self.tokens.is_empty() {
                return Err(Rejection::NoSecret);
            }
            is_any(&self.tokens, request.only(&TOKEN)?)
        };
        match &self.signed {
            Some(signed) if by_token().is_err() => signed.verify(request),
            Some(_) => Ok(()),
            None => by_token(),
        }
    }

    fn describe(&self, request: &Request<'_>) -> Classification {
        let id = request.text("webhook-id").filter(|_| self.signed.is_some());
        Classification::Event(Attributes {
            kind: request.text("x-gitlab-event"),
            // The event's own UUID is shared by events that follow from each other.
            id: id.or_else(|| request.text("idempotency-key")),
            ..Attributes::default()
        })
    }

    fn signs_body(&self) -> bool {
        self.signed.is_some()
    }
}
