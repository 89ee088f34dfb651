//! GitHub: an HMAC of the body. Its headers are not signed: a person who has one event can send it with another type
//! and id.

use visnyk_engine::event::Attributes;

use super::signature::Signature;
use super::{Answer, Classification, Provider, Rejection, Request};

/// Provider that verifies requests of GitHub.
pub struct GitHub(pub Signature);

impl Provider for GitHub {
    fn verify(&self, request: &Request<'_>) -> Result<(), Rejection> {
        self.0.verify(request)
    }

    fn describe(&self, request: &Request<'_>) -> Classification {
        let kind = request.text("x-github-event");
        if kind.as_deref() == Some("ping") {
            return Classification::Greeting(Answer::bare());
        }
        Classification::Event(Attributes {
            kind,
            id: request.text("x-github-delivery"),
            ..Attributes::default()
        })
    }
}
