//! The request of each format: one file per format, and the headers that all of them have.

mod cloud_events;
mod headers;
mod line;
mod original;
mod python_float;
pub mod python_json;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use jiff::{Timestamp, tz::TimeZone};
use visnyk_crds::valid::Format;

pub(super) use headers::{WEBHOOK_ID, WEBHOOK_TIMESTAMP};

use crate::event::Event;

/// Headers and body of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Headers of the request, without those of the connection.
    pub headers: HeaderMap,
    /// Body of the request, byte for byte.
    pub body: Bytes,
}

/// Makes the message of an event in this format. `attempted_at` is the time of this attempt; `zone` is the time zone of
/// lines.
pub fn message(format: Format, event: &Event, attempted_at: Timestamp, zone: &TimeZone) -> Message {
    match format {
        Format::Original => original::message(event, attempted_at),
        Format::Line => line::message(event, attempted_at, zone),
        Format::CloudEvents(mode) => cloud_events::message(mode, event, attempted_at),
    }
}

/// Makes a heartbeat. It is no event, so it has no id.
pub fn heartbeat(format: Format, at: Timestamp, zone: &TimeZone) -> Message {
    let mut headers = headers::of_heartbeat(at);
    if format != Format::Line {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let timestamp = line::timestamp(at, zone);
    let body = format!(
        r#"{{"timestamp": "{timestamp}", "message": "Received data: {{\"heartbeat\": \"alive\"}}"}}"#
    );
    let message = Message { headers, body: body.into() };
    match format {
        Format::CloudEvents(mode) => cloud_events::heartbeat(mode, at, message),
        Format::Original | Format::Line => message,
    }
}

#[cfg(test)]
mod tests;
