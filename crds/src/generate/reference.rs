//! The reference of every field, for people: one table per kind, straight from the schema.

use std::fmt::Write;

use kube::CustomResourceExt;
use serde_json::Value;

use crate::api::{Collector, GROUP, VERSION, WebhookRelay};
use crate::schema::spec_schema;
use crate::text::words;

/// The page as Markdown.
pub(super) fn reference() -> String {
    let mut page = format!(
        "# Reference\n\n<!-- Generated from crds/src/api by `{}`; do not edit. -->\n\n\
         Every field of the two kinds of `{GROUP}/{VERSION}`. Fields marked `!` are required.\n\
         An unknown field is refused. A resource's name is a DNS label that begins with a letter,\n\
         at most 40 characters long.\n",
        super::COMMAND
    );
    for (kind, schema) in [section::<WebhookRelay>(), section::<Collector>()] {
        let _ =
            write!(page, "\n## {kind}\n\n| field | what may stand there | default | |\n|---|---|---|---|\n");
        rows(schema, "spec", &mut page);
    }
    page
}

fn section<K: CustomResourceExt>() -> (String, &'static Value) {
    (K::api_resource().kind, spec_schema::<K>())
}

fn rows(schema: &Value, path: &str, page: &mut String) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let required =
            schema["required"].as_array().is_some_and(|required| required.iter().any(|one| one == name));
        let default = field.get("default").map(|default| format!("`{default}`")).unwrap_or_default();
        let description = field["description"].as_str().unwrap_or_default().replace("\n\n", " ");
        let _ = writeln!(
            page,
            "| `{path}.{name}`{} | {} | {} | {description} |",
            if required { " !" } else { "" },
            allowed(field).replace('|', "\\|"),
            default.replace('"', ""),
        );
        let (inner, path) = match field.get("items") {
            Some(items) => (items, format!("{path}.{name}[]")),
            None => (field, format!("{path}.{name}")),
        };
        rows(inner, &path, page);
    }
}

/// What may stand in a field, in words.
fn allowed(field: &Value) -> String {
    let mut words = match field["type"].as_str() {
        Some("array") => {
            let (least, most) = (field["minItems"].as_u64().unwrap_or(0), &field["maxItems"]);
            let of = if field["items"]["type"] == "object" {
                "objects".to_owned()
            } else {
                allowed(&field["items"])
            };
            format!("list, {least} to {most} items: {of}")
        }
        Some("integer") => {
            let bound = |keyword: &str| field[keyword].as_f64().unwrap_or_default();
            format!("{} to {}", bound("minimum"), bound("maximum"))
        }
        Some("string") => match field["enum"].as_array() {
            Some(values) => values
                .iter()
                .map(|value| format!("`{value}`").replace('"', ""))
                .collect::<Vec<_>>()
                .join(" or "),
            None => form(field),
        },
        Some("object") if field.get("additionalProperties").is_some() => {
            format!("map of at most {} entries", field["maxProperties"])
        }
        Some(_) if field["x-kubernetes-preserve-unknown-fields"] == true => "as in Kubernetes".to_owned(),
        _ => "object".to_owned(),
    };
    for rule in field["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let message = rule["message"].as_str().unwrap_or_default().trim_start_matches("must be ");
        if !words.contains(message) {
            let _ = write!(words, "; {message}");
        }
    }
    words
}

fn form(field: &Value) -> String {
    let known = field["pattern"].as_str().zip(field["maxLength"].as_u64());
    let says = known.and_then(|(pattern, longest)| words(pattern, longest)).unwrap_or_default();
    says.trim_start_matches("must be ").to_owned()
}
