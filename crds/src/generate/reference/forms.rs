//! The form of a value in a few words, and the table that explains them.

use std::fmt::Write;

use serde_json::Value;

use crate::text::AMOUNT;
use crate::text::{
    AnnotationValue, Audience, Cidr, DnsName, Expression, Form, GoDuration, HeaderName, HeaderPrefix,
    HeaderTemplate, HttpUrl, IdExpression, Image, KindName, LabelValue, LogPath, Name, Namespace, ObjectName,
    Pin, PublicUrl, QUALIFIED_NAME, Quantity, RequestPath, Scope, SecretKey, ServiceName, SignedPayload,
    Statuses, Subject, UrlPath, WebhookId,
};

/// Forms with their short names. A form that is explained in the table is used by its short name alone.
const NAMES: &[(Form, &str)] = &[
    (Quantity::FORMAT, "size"),
    (GoDuration::FORMAT, "duration"),
    (AMOUNT, "quantity"),
    (Name::FORMAT, "name"),
    (ObjectName::FORMAT, "dotted name"),
    (Namespace::FORMAT, "namespace"),
    (ServiceName::FORMAT, "Service name"),
    (SecretKey::FORMAT, "key"),
    (Cidr::FORMAT, "address range"),
    (DnsName::FORMAT, "DNS name"),
    (HttpUrl::FORMAT, "URL"),
    (PublicUrl::FORMAT, "URL without query"),
    (RequestPath::FORMAT, "request path"),
    (UrlPath::FORMAT, "path and query"),
    (LogPath::FORMAT, "log path"),
    (Statuses::FORMAT, "status or range"),
    (HeaderName::FORMAT, "header name"),
    (HeaderTemplate::FORMAT, "header template"),
    (HeaderPrefix::FORMAT, "prefix"),
    (SignedPayload::FORMAT, "payload"),
    (Expression::FORMAT, "expression"),
    (IdExpression::FORMAT, "id expression"),
    (Subject::FORMAT, "subject"),
    (Pin::FORMAT, "pin"),
    (Scope::FORMAT, "scope"),
    (Audience::FORMAT, "audience"),
    (WebhookId::FORMAT, "webhook id"),
    (KindName::FORMAT, "kind"),
    (Image::FORMAT, "image"),
    (QUALIFIED_NAME, "label key"),
    (LabelValue::FORMAT, "label value"),
    (AnnotationValue::FORMAT, "text"),
];

/// Returns the rows of the table that explains the short names.
pub(super) fn table() -> String {
    let mut rows = String::new();
    for (form, name) in NAMES {
        let says = form.error_text.trim_start_matches("must be ");
        let says =
            says.split_once(": ").filter(|(before, _)| before.ends_with(name)).map_or(says, |(_, says)| says);
        if says.contains("at most") || says.contains("characters") {
            let _ = writeln!(rows, "| {name} | {says} |");
            continue;
        }
        let _ = writeln!(
            rows,
            "| {name} | {}, at most {} characters |",
            says.replace('|', "\\|"),
            form.max_length
        );
    }
    rows
}

/// Returns whether a schema is that of a reference to a key of a Secret.
pub(super) fn is_secret_key(schema: &Value) -> bool {
    let Some(fields) = schema["properties"].as_object() else { return false };
    fields.len() == 2
        && fields.contains_key("name")
        && is_of(&schema["properties"]["key"], &SecretKey::FORMAT)
}

fn is_of(field: &Value, form: &Form) -> bool {
    field["pattern"] == form.pattern && field["maxLength"] == form.max_length
}

/// Returns the form of a field in a few words, with its bounds and rules.
pub(super) fn form(field: &Value) -> String {
    let mut words = bare(field);
    for rule in field["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let message = rule["message"].as_str().unwrap_or_default().trim_start_matches("must be ");
        if let Some(bounds) = message.strip_prefix("from ") {
            let _ = write!(words, ", {bounds}");
        } else if !NAMES.iter().any(|(form, _)| form.error_text.ends_with(message)) {
            let _ = write!(words, "; {message}");
        }
    }
    words
}

fn bare(field: &Value) -> String {
    if field["x-kubernetes-int-or-string"] == true {
        return "quantity".to_owned();
    }
    match field["type"].as_str() {
        Some("array") => {
            let (least, most) = (field["minItems"].as_u64().unwrap_or(0), &field["maxItems"]);
            let count = match (least, most.as_u64().unwrap_or_default()) {
                (0, most) => format!("at most {most}"),
                (least, most) if least == most => most.to_string(),
                (least, most) => format!("{least} to {most}"),
            };
            format!("list of {count}: {}", form(&field["items"]))
        }
        Some("integer") => {
            let bound = |keyword: &str| field[keyword].as_f64().unwrap_or_default();
            format!("{} to {}", bound("minimum"), bound("maximum"))
        }
        Some("string") => field["enum"].as_array().map_or_else(
            || {
                let known = NAMES.iter().find(|(form, _)| is_of(field, form));
                known.map(|(_, name)| (*name).to_owned()).unwrap_or_default()
            },
            |values| {
                let values = values.iter().map(|one| format!("`{one}`").replace('"', ""));
                values.collect::<Vec<_>>().join(", ")
            },
        ),
        Some("object") if field.get("additionalProperties").is_some() => {
            format!("map of at most {} to {}", field["maxProperties"], form(&field["additionalProperties"]))
        }
        _ if is_secret_key(field) => "secret key".to_owned(),
        _ if field["x-kubernetes-preserve-unknown-fields"] == true => "as in Kubernetes".to_owned(),
        _ if field.get("properties").is_none() => "empty object".to_owned(),
        _ => "object".to_owned(),
    }
}
