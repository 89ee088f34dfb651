//! `format: Line`: the old system's log line, its newline included. No Content-Type, nothing outside
//! ASCII, and of the sender's headers only those that carry a trace on.

use jiff::{Timestamp, tz::TimeZone};

use super::{Message, headers, python_json};
use crate::event::Event;

pub(super) fn message(event: &Event, attempted_at: Timestamp, zone: &TimeZone) -> Message {
    let mut headers = headers::of_attempt(event.envelope.id, attempted_at);
    for (name, value) in &event.envelope.headers {
        if name == "traceparent" || name == "tracestate" {
            headers::append(&mut headers, name, value);
        }
    }
    let timestamp = timestamp(event.received_at(), zone);
    let data = python_json::reserialize(&event.body).unwrap_or_else(|| on_one_line(&event.body));
    Message { headers, body: format!("{timestamp} - Received data: {data}\n").into() }
}

/// Formats a local time with milliseconds, as Python's logging does: `2023-09-10 17:24:31,123`.
pub(super) fn timestamp(at: Timestamp, zone: &TimeZone) -> String {
    let local = zone.to_datetime(at);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02},{:03}",
        local.year(),
        local.month(),
        local.day(),
        local.hour(),
        local.minute(),
        local.second(),
        local.millisecond()
    )
}

/// Formats a body that is not JSON: its ASCII, with newlines escaped so that one body stays one line.
fn on_one_line(body: &[u8]) -> String {
    let mut text = String::with_capacity(body.len());
    for byte in body.iter().filter(|byte| byte.is_ascii()) {
        match byte {
            b'\n' => text.push_str(r"\n"),
            b'\r' => text.push_str(r"\r"),
            _ => text.push(char::from(*byte)),
        }
    }
    text
}
