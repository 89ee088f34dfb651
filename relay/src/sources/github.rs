//! GitHub: an HMAC of the body. Its headers are not signed: whoever has one event can give it another type and id.

use visnyk_engine::event::Attributes;

use super::signature::Signature;
use super::{Answer, Provider, Refusal, Request, Said};

/// Knows GitHub.
pub struct GitHub(pub Signature);

impl Provider for GitHub {
    fn verify(&self, request: &Request<'_>) -> Result<(), Refusal> {
        self.0.verify(request)
    }

    fn describe(&self, request: &Request<'_>) -> Said {
        let kind = request.text("x-github-event");
        if kind.as_deref() == Some("ping") {
            return Said::Greeting(Answer::bare());
        }
        Said::Event(Attributes { kind, id: request.text("x-github-delivery"), ..Attributes::default() })
    }
}
