//! Method, headers and format details of a request to a destination, and rules for the statuses of answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{SecretRef, exactly_one};
use crate::text::{HeaderName, HeaderTemplate};

/// The fields of which [`Header`] holds exactly one.
pub(crate) const CONTENTS: &[&str] = &["secretRef", "value"];
/// Headers that a manifest cannot set: they belong to the connection or identify the event.
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
/// Error text for a reserved header.
pub(crate) const IS_RESERVED: &str =
    "must not be a header that the relay sets or that belongs to the connection";
/// Error text for a range whose end is below its beginning.
pub(crate) const BACKWARDS: &str = "must not end below its start";
/// Error text for `cloudEvents` with another format.
pub(crate) const MODE_OF_OTHER: &str = "cloudEvents needs format: CloudEvents";
/// The same rule in CEL.
pub(crate) const MODE_RULE: &str =
    "!has(self.cloudEvents) || (has(self.format) && self.format == 'CloudEvents')";

/// HTTP method of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Method {
    /// For receivers that create something for each event.
    #[default]
    POST,
    /// For receivers that store a resource.
    PUT,
    /// For receivers that change a resource.
    PATCH,
}

/// Settings for `format: CloudEvents`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct CloudEvents {
    /// Place of the event's attributes. `Binary`: in headers `ce-...`, and the body is the data. `Structured`: in a
    /// JSON body of type `application/cloudevents+json` that contains the data. Default `Binary`.
    #[serde(default)]
    pub mode: CloudEventsMode,
}

/// Place of the attributes of a CloudEvents event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum CloudEventsMode {
    /// In headers `ce-...`; the body is the event's data.
    #[default]
    Binary,
    /// In a JSON body of type `application/cloudevents+json` that contains the data.
    Structured,
}

/// A header of every request: exactly one of `secretRef`, `value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = exactly_one(CONTENTS)))]
pub struct Header {
    /// Name of the header. Headers of the connection, `webhook-id`, `webhook-timestamp`, `webhook-signature` and
    /// those that `sign` and `authorization` set are refused.
    #[schemars(extend("x-kubernetes-validations" = not_reserved()))]
    pub name: HeaderName,
    /// Value of the header: text in which `{id}`, `{source}`, `{type}` and `{received}` are replaced by the event's
    /// id, source, type and time of receipt. If the result is empty (an event without a type), the header is left
    /// out. Exactly one of `secretRef`, `value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<HeaderTemplate>,
    /// Key of a Secret that holds the value. Exactly one of `secretRef`, `value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

/// Returns the CEL rule that refuses reserved names.
fn not_reserved() -> Value {
    let names = RESERVED.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    json!([{ "rule": format!("!(self.lowerAscii() in [{names}])"), "message": IS_RESERVED }])
}

/// Returns the CEL rule of a status or a range of statuses.
pub(super) fn forwards() -> Value {
    json!([{
        "rule": "size(self) != 7 || self.substring(0, 3) <= self.substring(4)",
        "message": BACKWARDS,
    }])
}
