//! The headers that every request carries, whatever its format.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;
use uuid::Uuid;

/// Name of the header with the event's id, by Standard Webhooks.
pub(in crate::deliver) const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
pub(in crate::deliver) const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");

const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("visnyk/", env!("CARGO_PKG_VERSION")));

/// Returns the headers with the event's id, the time of the attempt, and the relay's version.
pub(super) fn of_attempt(id: Uuid, at: Timestamp) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    let mut buffer = Uuid::encode_buffer();
    // A UUID is plain ASCII.
    if let Ok(id) = HeaderValue::from_str(id.hyphenated().encode_lower(&mut buffer)) {
        headers.insert(WEBHOOK_ID, id);
    }
    set_common(&mut headers, at);
    headers
}

/// Returns the headers with the time of the heartbeat and the relay's version.
pub(super) fn of_heartbeat(at: Timestamp) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    set_common(&mut headers, at);
    headers
}

fn set_common(headers: &mut HeaderMap, at: Timestamp) {
    headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(at.as_second()));
    headers.insert(header::USER_AGENT, USER_AGENT);
}

/// Adds a stored header, unless it is nothing that HTTP could carry.
pub(super) fn append(headers: &mut HeaderMap, name: &str, value: &[u8]) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) {
        // An error means tens of thousands of headers, which no listener lets in.
        let _ = headers.try_append(name, value);
    }
}
