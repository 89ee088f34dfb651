//! Meta: an HMAC of the body. Before it sends events it sends a challenge with GET.

use visnyk_crds::valid::{SecretRef, SignatureEncoding};
use visnyk_engine::event::Attributes;
use visnyk_runtime::crypto::Token;

use super::generic::is_any;
use super::json::Json;
use super::secrets::Secrets;
use super::signature::{Signature, of_body};
use super::{Answer, Classification, Provider, Rejection, Request, form};

/// Provider that verifies requests of Meta.
pub struct Meta {
    signature: Signature,
    verify_token: Vec<Token>,
}

impl Meta {
    /// Makes the provider with the app's secrets and the token of the challenge.
    pub fn new(refs: &[SecretRef], verify_token: &SecretRef, secrets: &mut Secrets<'_>) -> Self {
        let shape = of_body("x-hub-signature-256", SignatureEncoding::Hex, "sha256=");
        Self {
            signature: Signature::new(&shape, refs, secrets),
            verify_token: secrets.tokens(std::slice::from_ref(verify_token)),
        }
    }

    fn challenge(&self, request: &Request<'_>) -> Result<Answer, Rejection> {
        let query = request.head.uri.query().unwrap_or_default().as_bytes();
        let only = |name: &[u8]| {
            let mut values = form::pairs(query).filter(|(key, _)| key == name);
            match (values.next(), values.next()) {
                (Some((_, value)), None) => Ok(value),
                (Some(_), Some(_)) => Err(Rejection::Repeated),
                (None, _) => Err(Rejection::Missing),
            }
        };
        if only(b"hub.mode")? != b"subscribe" {
            return Err(Rejection::Malformed);
        }
        let challenge = only(b"hub.challenge")?;
        is_any(&self.verify_token, &only(b"hub.verify_token")?)?;
        Ok(Answer::text(String::from_utf8_lossy(&challenge).into_owned()))
    }
}

impl Provider for Meta {
    fn verify(&self, request: &Request<'_>) -> Result<(), Rejection> {
        self.signature.verify(request)
    }

    fn describe(&self, request: &Request<'_>) -> Classification {
        let kind = Json::of(request.body).text("object");
        Classification::Event(Attributes { kind, ..Attributes::default() })
    }

    fn methods(&self) -> &'static str {
        "GET, POST"
    }

    fn greet(&self, request: &Request<'_>) -> Option<Result<Answer, Rejection>> {
        request.is_get().then(|| self.challenge(request))
    }
}
