//! `format: CloudEvents`: version 1.0 over HTTP. What came as an event of that kind stays the one it is; of any
//! other, the attributes are what its sender said, or what the relay knows.

use std::collections::BTreeMap;

use bytes::Bytes;
use data_encoding::BASE64;
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;
use visnyk_crds::valid::CloudEventsMode as Mode;

use super::{Message, headers, original};
use crate::cloud_event_header::{self, PREFIX};
use crate::event::Event;

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const JSON: &str = "application/json";
/// Type of an event whose sender gives none.
const UNKNOWN_TYPE: &str = "dev.visnyk.event";
const HEARTBEAT_TYPE: &str = "dev.visnyk.heartbeat";
/// Characters that a header's value writes as `%xx`, besides those that are not ASCII (HTTP binding section 3.1.3.2).
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// Headers that are true of the body as it came, and of no other: checksums, coding, language and place.
const OF_THE_BODY: [&str; 8] = [
    "content-digest",
    "content-encoding",
    "content-language",
    "content-location",
    "content-md5",
    "content-range",
    "digest",
    "repr-digest",
];

/// Attributes, in the order of their names, and data.
struct CloudEvent {
    attributes: BTreeMap<String, String>,
    content_type: Option<String>,
    data: Bytes,
}

pub(super) fn message(mode: Mode, event: &Event, attempted_at: Timestamp) -> Message {
    let content_type = event.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let mut is_another_body = false;
    let cloud_event = match (&media_type[..], mode) {
        // A batch is one record, and has no attributes of its own.
        (BATCH, _) | (STRUCTURED, Mode::Structured) => return original::message(event, attempted_at),
        (STRUCTURED, Mode::Binary) => match unwrapped(&event.body) {
            Some(unwrapped) => {
                is_another_body = true;
                unwrapped
            }
            None => return original::message(event, attempted_at),
        },
        _ => described(event),
    };
    let headers = match mode {
        Mode::Binary => {
            let mut headers = original::message(event, attempted_at).headers;
            let theirs: Vec<_> =
                headers.keys().filter(|name| name.as_str().starts_with(PREFIX)).cloned().collect();
            for name in theirs {
                headers.remove(name);
            }
            if is_another_body {
                for name in OF_THE_BODY {
                    headers.remove(name);
                }
            }
            headers
        }
        Mode::Structured => {
            let mut headers = headers::of_attempt(event.envelope.id, attempted_at);
            for (name, value) in &event.envelope.headers {
                if name == "traceparent" || name == "tracestate" {
                    headers::append(&mut headers, name, value);
                }
            }
            headers
        }
    };
    cloud_event.message(mode, headers)
}

/// Makes a heartbeat, which is a CloudEvents event like any other.
pub(super) fn heartbeat(mode: Mode, at: Timestamp, message: Message) -> Message {
    let attributes = [
        ("specversion", "1.0".to_owned()),
        ("id", Uuid::new_v4().to_string()),
        ("source", "/heartbeat".to_owned()),
        ("type", HEARTBEAT_TYPE.to_owned()),
        ("time", at.to_string()),
    ];
    let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let cloud_event = CloudEvent { attributes, content_type: Some(JSON.into()), data: message.body };
    cloud_event.message(mode, message.headers)
}

/// Returns the attributes of an event whose body is its data.
fn described(event: &Event) -> CloudEvent {
    let envelope = &event.envelope;
    let said = &envelope.attributes;
    let mut attributes = BTreeMap::new();
    // A source keeps these headers only if its sender speaks CloudEvents: then the event has every attribute that came,
    // whatever the source knows repeats by.
    if event.header("ce-specversion").is_some() {
        let theirs = envelope.headers.iter().filter_map(|(name, value)| {
            let name = cloud_event_header::attribute_name(name)?;
            let value = cloud_event_header::decode(value).filter(|value| !value.is_empty())?;
            Some((name.to_owned(), value))
        });
        attributes.extend(theirs);
    }
    let time = said.time_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let derived = [
        ("specversion", "1.0".to_owned()),
        ("id", said.id.clone().unwrap_or_else(|| envelope.id.to_string())),
        ("source", said.origin.clone().unwrap_or_else(|| format!("/{}", envelope.source))),
        ("type", said.kind.clone().unwrap_or_else(|| UNKNOWN_TYPE.to_owned())),
        ("time", time.unwrap_or_else(|| event.received_at()).to_string()),
    ];
    for (name, value) in derived {
        attributes.entry(name.to_owned()).or_insert(value);
    }
    CloudEvent {
        attributes,
        content_type: event.header("content-type").map(ToOwned::to_owned),
        data: event.body.clone(),
    }
}

/// Parses a structured event; `None` if it is not well formed.
fn unwrapped(body: &[u8]) -> Option<CloudEvent> {
    let mut fields: BTreeMap<String, &RawValue> = serde_json::from_slice(without_mark(body)).ok()?;
    let (data, base64) = (fields.remove("data"), fields.remove("data_base64"));
    let mut attributes = BTreeMap::new();
    for (name, value) in fields {
        let value = match serde_json::from_str(value.get()).ok()? {
            Value::String(text) => text,
            Value::Null => continue,
            Value::Array(_) | Value::Object(_) => return None,
            scalar => scalar.to_string(),
        };
        attributes.insert(name, value);
    }
    let said = attributes.remove("datacontenttype");
    let data = match (data, base64) {
        (None, None) => Bytes::new(),
        (None, Some(base64)) => BASE64.decode(string(base64)?.as_bytes()).ok()?.into(),
        (Some(data), None) => match string(data) {
            Some(text) if !is_json(said.as_deref()) => text.into(),
            _ => data.get().to_owned().into(),
        },
        (Some(_), Some(_)) => return None,
    };
    let content_type = said.or_else(|| (!data.is_empty()).then(|| JSON.to_owned()));
    Some(CloudEvent { attributes, content_type, data })
}

/// Returns JSON without the byte order mark that may stand before it (RFC 8259, section 8.1).
fn without_mark(json: &[u8]) -> &[u8] {
    json.strip_prefix("\u{feff}".as_bytes()).unwrap_or(json)
}

fn string(json: &RawValue) -> Option<String> {
    serde_json::from_str(json.get()).ok()
}

/// Returns whether data of this type is JSON. Without a type it is.
fn is_json(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return true };
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type.ends_with("/json") || media_type.ends_with("+json")
}

impl CloudEvent {
    fn message(self, mode: Mode, headers: HeaderMap) -> Message {
        match mode {
            Mode::Binary => self.binary(headers),
            Mode::Structured => self.structured(headers),
        }
    }

    fn binary(self, mut headers: HeaderMap) -> Message {
        for (name, value) in &self.attributes {
            let value = utf8_percent_encode(value, ENCODED).to_string();
            headers::append(&mut headers, &format!("{PREFIX}{name}"), value.as_bytes());
        }
        headers.remove(header::CONTENT_TYPE);
        if let Some(content_type) = &self.content_type {
            headers::append(&mut headers, header::CONTENT_TYPE.as_str(), content_type.as_bytes());
        }
        Message { headers, body: self.data }
    }

    fn structured(self, mut headers: HeaderMap) -> Message {
        let mut fields: Map<String, Value> =
            self.attributes.into_iter().map(|(name, value)| (name, value.into())).collect();
        if let Some(content_type) = &self.content_type {
            fields.insert("datacontenttype".into(), content_type.clone().into());
        }
        let is_json = is_json(self.content_type.as_deref());
        let json: Option<&RawValue> =
            serde_json::from_slice(without_mark(&self.data)).ok().filter(|_| is_json);
        let text = std::str::from_utf8(&self.data).ok().filter(|_| !is_json);
        match text {
            _ if self.data.is_empty() || json.is_some() => {}
            Some(text) => drop(fields.insert("data".into(), text.into())),
            None => drop(fields.insert("data_base64".into(), BASE64.encode(&self.data).into())),
        }
        let mut body = Value::Object(fields).to_string();
        if let Some(json) = json {
            // As it came: numbers and repeated names stay what they were.
            body.pop();
            body.push_str(",\"data\":");
            body.push_str(json.get());
            body.push('}');
        }
        let content_type = HeaderValue::from_static("application/cloudevents+json; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, content_type);
        Message { headers, body: body.into() }
    }
}

#[cfg(test)]
mod tests;
