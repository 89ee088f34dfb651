//! CloudEvents 1.0 over HTTP: binary, where headers say what the body is of; structured, where the body is the
//! whole event; and batches. What claims to be one and lacks what every event has is refused: a batch as a whole.

use std::collections::HashMap;

use serde_json::value::RawValue;
use visnyk_engine::cloud_event_header;
use visnyk_engine::event::Attributes;

use crate::body_kind::without_mark;

use super::json::Json;
use super::{Classification, Request, rfc3339};

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const BROKEN: &str = "Invalid CloudEvent";

/// Returns whether a request claims to be an event in binary mode, whose data may be absent, or of any media type.
pub fn is_binary(request: &Request<'_>) -> bool {
    let is_other_mode = request.media_type().starts_with("application/cloudevents");
    request.head.headers.contains_key("ce-specversion") && !is_other_mode
}

/// Returns the sender's description of its event as CloudEvents; empty if it is not one.
pub fn describe(request: &Request<'_>) -> Classification {
    let said = match request.media_type().as_str() {
        STRUCTURED => event(&Json::of(request.body)),
        BATCH => batch(request.body),
        other if other.starts_with("application/cloudevents") => None,
        _ if is_binary(request) => binary(request),
        _ => Some(Attributes::default()),
    };
    said.map_or(Classification::Broken(BROKEN), Classification::Event)
}

/// Returns the description in the headers. All of them are read: one that cannot be read, or that occurs twice, makes
/// the event invalid.
fn binary(request: &Request<'_>) -> Option<Attributes> {
    let mut said = HashMap::new();
    for (name, value) in &request.head.headers {
        let Some(name) = cloud_event_header::attribute_name(name.as_str()) else { continue };
        if said.insert(name, cloud_event_header::decode(value.as_bytes())?).is_some() {
            return None;
        }
    }
    let mut text = |name| said.remove(name).filter(|text: &String| !text.is_empty());
    attributes(&text("specversion")?, [text("type"), text("id"), text("source")], text("time"))
}

fn event(event: &Json<'_>) -> Option<Attributes> {
    let text = |name| event.text(name);
    attributes(&text("specversion")?, [text("type"), text("id"), text("source")], text("time"))
}

/// Checks a batch, which is one record with all of its events. It has no attributes of its own.
fn batch(body: &[u8]) -> Option<Attributes> {
    let events: Vec<&RawValue> = serde_json::from_slice(without_mark(body)).ok()?;
    let all_sound = events.iter().all(|one| event(&Json::of(one.get().as_bytes())).is_some());
    all_sound.then(Attributes::default)
}

fn attributes(version: &str, required: [Option<String>; 3], time: Option<String>) -> Option<Attributes> {
    let [Some(kind), Some(id), Some(origin)] = required else { return None };
    // Minor versions only add.
    if version != "1" && !version.starts_with("1.") {
        return None;
    }
    let time_ms = match time {
        Some(time) => Some(rfc3339(&time)?),
        None => None,
    };
    if [&kind, &id, &origin].iter().any(|text| text.contains(char::is_control)) {
        return None;
    }
    Some(Attributes { kind: Some(kind), id: Some(id), origin: Some(origin), time_ms })
}
