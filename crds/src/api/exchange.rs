//! The request that a destination gets, beside its body, and what its answers mean.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{SecretRef, exactly_one};
use crate::text::{HeaderName, HeaderTemplate};

/// The fields of which [`Header`] holds exactly one.
pub(crate) const CONTENTS: &[&str] = &["secretRef", "value"];
/// Headers that a manifest does not set: they belong to the connection, or say which event this is.
pub(crate) const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];
/// What is wrong with one of those.
pub(crate) const IS_RESERVED: &str = "is set by the relay or belongs to the connection";
/// What is wrong with a range that ends before it begins.
pub(crate) const BACKWARDS: &str = "must not end below its beginning";
/// What is wrong with a mode of another format.
pub(crate) const MODE_OF_OTHER: &str = "cloudEvents is for format: CloudEvents";
/// The same, as a CEL rule.
pub(crate) const MODE_RULE: &str = "!has(self.cloudEvents) || self.format == 'CloudEvents'";

/// The method of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Method {
    /// For a new thing each time.
    #[default]
    POST,
    /// To put one in its place.
    PUT,
    /// To change one.
    PATCH,
}

/// How events are sent as CloudEvents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct CloudEvents {
    /// Where the event's attributes are.
    #[serde(default)]
    pub mode: CloudEventsMode,
}

/// Where the attributes of a CloudEvents event are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum CloudEventsMode {
    /// In headers `ce-...`; the body is the event's data.
    #[default]
    Binary,
    /// In the body, `application/cloudevents+json`, with the data.
    Structured,
}

/// A header of every request: exactly one of `secretRef`, `value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = exactly_one(CONTENTS)))]
pub struct Header {
    /// Its name. It takes the place of one of the event's headers of that name.
    #[schemars(extend("x-kubernetes-validations" = not_reserved()))]
    pub name: HeaderName,
    /// Its value, in which `{id}`, `{source}`, `{type}` and `{received}` are the event's; left out where nothing
    /// comes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<HeaderTemplate>,
    /// A secret as its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

fn not_reserved() -> Value {
    let names = RESERVED.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    json!([{ "rule": format!("!(self.lowerAscii() in [{names}])"), "message": IS_RESERVED }])
}

/// CEL rules of a status or a range of them.
pub(super) fn forwards() -> Value {
    json!([{
        "rule": "size(self) != 7 || self.substring(0, 3) <= self.substring(4)",
        "message": BACKWARDS,
    }])
}
