//! The sources: verification of each sender, and the sender's description of the event. A request comes here from the
//! listener, before anything is journalled.
//!
//! In layers, from below: [`secrets`] reads files, [`signature`] checks an HMAC in a header, a file for each
//! [`Provider`] knows one sender, [`endpoint`] makes an endpoint of each source and its secrets.

mod client_certificate;
mod cloud_events;
#[cfg(test)]
mod constant_time;
#[cfg(test)]
mod decoders;
#[cfg(test)]
mod descriptions;
mod endpoint;
mod form;
mod generic;
mod github;
mod gitlab;
mod json;
mod meta;
#[cfg(test)]
mod mutations;
mod pay_pal;
mod providers;
mod secrets;
mod shopify;
mod signature;
mod slack;
mod standard_webhooks;
mod stripe;
mod telegram;
#[cfg(test)]
pub(crate) mod testing;
mod twilio;
mod woo_commerce;

use futures::future::BoxFuture;
use http::request::Parts;
use http::{HeaderName, Method};
use jiff::Timestamp;
use visnyk_engine::event::Attributes;

pub use cloud_events::is_binary as is_binary_cloud_event;
pub use endpoint::{SourceEndpoint, SourceLoader};
pub use pay_pal::PayPalCertificates;
pub use secrets::check;

use crate::rejection::Rejection;

/// A request to verify.
pub struct Request<'a> {
    /// Method, path, query and headers.
    pub head: &'a Parts,
    /// Bytes of the body; empty while only the head is verified.
    pub body: &'a [u8],
    /// Time at which the request came.
    pub now: Timestamp,
}

/// Meaning of a request whose sender is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Classification {
    /// An event, with the attributes that its sender gives.
    Event(Attributes),
    /// A greeting, which is answered and never stored.
    Greeting(Answer),
    /// The body does not have the form that the request claims. The request is refused with 400, for this reason.
    Broken(&'static str),
}

/// The answer to a greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Media type of the body; `None` without a body.
    pub content_type: Option<&'static str>,
    /// Body of the answer.
    pub body: String,
}

/// The answer to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Media type of the body; `None` without a body.
    pub content_type: Option<&'static str>,
    /// Body of the answer.
    pub body: &'static str,
}

/// Verification and description of the requests of one kind of sender.
pub trait Provider: Send + Sync {
    /// Verifies the sender: compares in a time that does not depend on secrets.
    ///
    /// # Errors
    /// The proof is missing or not valid.
    fn verify(&self, request: &Request<'_>) -> Result<(), Rejection>;

    /// Does what must happen before [`Provider::verify`], if anything. It sees only the head: the body is read
    /// afterwards, so that a request that waits for something holds no body.
    ///
    /// # Cancel safety
    /// Dropped, it happens with the next request.
    fn prepare<'a>(&'a self, _: &Request<'a>) -> Option<BoxFuture<'a, ()>> {
        None
    }

    /// Returns the meaning of a verified request. A sender without headers of its own can use CloudEvents.
    fn describe(&self, request: &Request<'_>) -> Classification {
        cloud_events::describe(request)
    }

    /// Returns whether the body is part of the proof; without it a sender is refused before its body is read.
    fn signs_body(&self) -> bool {
        true
    }

    /// Returns whether any body is accepted. If not, it must be JSON unless its type says otherwise.
    fn takes_any_body(&self) -> bool {
        true
    }

    /// Returns the methods of its requests. `GET` is for greetings only.
    fn methods(&self) -> &'static str {
        "POST"
    }

    /// Returns the challenge in the answer to a refused sender (RFC 9110, section 11.6.1), for clients that send
    /// credentials only when asked. No registered scheme is a signature of the body.
    fn challenge(&self) -> &'static str {
        "Webhook realm=\"visnyk\""
    }

    /// Returns the answer to an accepted event. Unknown senders get the answer of the old receiver.
    fn accepted(&self) -> Accepted {
        Accepted { content_type: Some("application/json"), body: "{\"success\":\"Webhook handled\"}\n" }
    }

    /// Returns the answer to a greeting that is proven otherwise than an event, or not at all.
    fn greet(&self, _: &Request<'_>) -> Option<Result<Answer, Rejection>> {
        None
    }
}

impl<'a> Request<'a> {
    /// Returns the value of a header that must be there once.
    fn only(&self, name: &HeaderName) -> Result<&'a [u8], Rejection> {
        let mut values = self.head.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value.as_bytes()),
            (Some(_), Some(_)) => Err(Rejection::Repeated),
            (None, _) => Err(Rejection::Missing),
        }
    }

    /// Returns the text of a header, if it is there once and is text.
    fn text(&self, name: &'static str) -> Option<String> {
        let value = self.only(&HeaderName::from_static(name)).ok()?;
        let text = std::str::from_utf8(value).ok()?;
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Returns the media type in lowercase, without parameters.
    fn media_type(&self) -> String {
        let content_type = self.text("content-type").unwrap_or_default();
        content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    fn is_get(&self) -> bool {
        self.head.method == Method::GET
    }
}

impl Accepted {
    /// Answer with status 200 and no body.
    const BARE: Self = Self { content_type: None, body: "" };
}

impl Answer {
    /// Returns an answer with status 200 and no body.
    const fn bare() -> Self {
        Self { content_type: None, body: String::new() }
    }

    fn text(body: String) -> Self {
        Self { content_type: Some("text/plain"), body }
    }
}

/// Parses a time of RFC 3339, to milliseconds since the Unix epoch. A second may have any number of digits behind the point;
/// those beyond nanoseconds are cut off.
fn rfc3339(text: &str) -> Option<i64> {
    const NANOSECONDS: usize = 9;
    let point = text.find('.').map_or(text.len(), |point| point + 1);
    let (seconds, rest) = text.split_at(point);
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, zone) = rest.split_at(digits);
    let fraction = &fraction[..digits.min(NANOSECONDS)];
    format!("{seconds}{fraction}{zone}").parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}
