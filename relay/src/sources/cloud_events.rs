//! CloudEvents 1.0 over HTTP: binary, where headers say what the body is of; structured, where the body is the
//! whole event; and batches. What claims to be one and lacks what every event has is refused: a batch as a whole.

use std::borrow::Cow;

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;
use visnyk_engine::event::Attributes;

use super::json::Json;
use super::{Request, Said};

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const BROKEN: &str = "Invalid CloudEvent";

/// What a sender says of its event as CloudEvents: nothing if it is none.
pub fn describe(request: &Request<'_>) -> Said {
    let said = match request.media_type().as_str() {
        STRUCTURED => event(&Json::of(request.body)),
        BATCH => batch(request.body),
        other if other.starts_with("application/cloudevents") => None,
        _ if request.head.headers.contains_key("ce-specversion") => binary(request),
        _ => Some(Attributes::default()),
    };
    said.map_or(Said::Broken(BROKEN), Said::Event)
}

fn binary(request: &Request<'_>) -> Option<Attributes> {
    let text = |name| {
        let text = request.text(name)?;
        percent_decode_str(&text).decode_utf8().ok().map(Cow::into_owned)
    };
    attributes(&text("ce-specversion")?, [text("ce-type"), text("ce-id"), text("ce-source")], text("ce-time"))
}

fn event(event: &Json<'_>) -> Option<Attributes> {
    let text = |name| event.text(name);
    attributes(&text("specversion")?, [text("type"), text("id"), text("source")], text("time"))
}

/// A batch has no attributes of its own, and is one record: all of its events or none.
fn batch(body: &[u8]) -> Option<Attributes> {
    let events: Vec<&RawValue> = serde_json::from_slice(body).ok()?;
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
        Some(time) => Some(time.parse::<Timestamp>().ok()?.as_millisecond()),
        None => None,
    };
    Some(Attributes { kind: Some(kind), id: Some(id), origin: Some(origin), time_ms })
}
