//! Telegram: a token in a header.

use http::HeaderName;
use visnyk_engine::event::Attributes;
use visnyk_runtime::crypto::Token;

use super::generic::is_any;
use super::json::Json;
use super::{Accepted, Classification, Provider, Rejection, Request};

const TOKEN: HeaderName = HeaderName::from_static("x-telegram-bot-api-secret-token");
/// Field of every update, beside the one field that says what it is.
const UPDATE_ID: &str = "update_id";

/// Provider that verifies requests of Telegram.
pub struct Telegram(pub Vec<Token>);

impl Provider for Telegram {
    fn verify(&self, request: &Request<'_>) -> Result<(), Rejection> {
        is_any(&self.0, request.only(&TOKEN)?)
    }

    /// Returns an answer without a body, because a body would be taken for a request to the bot's API.
    fn accepted(&self) -> Accepted {
        Accepted::BARE
    }

    fn describe(&self, request: &Request<'_>) -> Classification {
        let update = Json::of(request.body);
        let kind = update.fields().filter(|field| *field != UPDATE_ID).min().map(str::to_owned);
        Classification::Event(Attributes { kind, id: update.text(UPDATE_ID), ..Attributes::default() })
    }

    fn signs_body(&self) -> bool {
        false
    }
}
