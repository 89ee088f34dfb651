//! The reference of every field: an introduction, and for each kind a table of its fields, generated from the schema.

mod forms;
mod rules;

use std::fmt::Write;

use kube::CustomResourceExt;
use serde_json::Value;

use crate::api::{Collector, WebhookRelay};
use crate::schema::{definition, spec_schema_with_defaults};

/// A relay with only the required fields.
const RELAY: &str = include_str!("reference/relay.yaml");
/// A collector with only the required fields.
const COLLECTOR: &str = include_str!("reference/collector.yaml");
const INTRODUCTION: &str = include_str!("reference/intro.md");
const TABLE: &str = "| field | form | default | description |\n|---|---|---|---|\n";

/// Returns the page as Markdown.
pub(super) fn reference() -> String {
    let introduction = INTRODUCTION
        .replace("RELAY\n", &indented(RELAY))
        .replace("COLLECTOR\n", &indented(COLLECTOR))
        .replace("FORMS\n", &forms::table());
    let mut page = format!(
        "# Reference\n\n<!-- Generated from crds/src/api and crds/src/generate/reference by `{}`; do not edit. -->\n\n\
         {introduction}",
        super::COMMAND
    );
    kind::<WebhookRelay>(&Value::Null, &mut page);
    kind::<Collector>(&spec_schema_with_defaults::<WebhookRelay>(), &mut page);
    page
}

fn indented(text: &str) -> String {
    let mut indented = String::new();
    for line in text.lines() {
        let _ = writeln!(indented, "    {line}");
    }
    indented
}

/// Writes the chapter of a kind. Objects that `described` has with the same fields are not described again.
fn kind<K: CustomResourceExt>(described: &Value, page: &mut String) {
    let kind = K::api_resource().kind;
    let definition = serde_json::to_value(definition::<K>()).unwrap_or_default();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let about = schema["description"].as_str().unwrap_or_default();
    let spec = &spec_schema_with_defaults::<K>();
    let _ = write!(page, "\n## {kind}\n\n{about}\n\n{}", rules::of_kind(&kind, schema));
    page.push_str("### ");
    let _ = write!(page, "{kind} spec\n\n{TABLE}");
    let is_described = |name: &str| {
        let (here, there) = (fields_of(&spec["properties"][name]), fields_of(&described["properties"][name]));
        here.is_some() && here == there
    };
    for (name, field) in properties(spec) {
        let form = if fields_of(field).is_none() {
            forms::form(field)
        } else if is_described(name) {
            format!("object, as in [WebhookRelay](#{})", anchor("WebhookRelay", name))
        } else {
            {
                let what = if field.get("items").is_some() { "list of objects" } else { "object" };
                format!("[{what}](#{})", anchor(&kind, name))
            }
        };
        row(name, &form, spec, field, page);
    }
    for (name, field) in
        properties(spec).filter(|(name, field)| fields_of(field).is_some() && !is_described(name))
    {
        let list = if field.get("items").is_some() { "[]" } else { "" };
        let _ = write!(
            page,
            "\n### {kind} spec.{name}{list}\n\n{}{TABLE}",
            rules::of_section(&kind, name, field)
        );
        rows(inner(field), "", page);
    }
}

fn anchor(kind: &str, name: &str) -> String {
    format!("{kind}-spec{name}").to_lowercase()
}

fn rows(schema: &Value, path: &str, page: &mut String) {
    for (name, field) in properties(schema) {
        let path = format!("{path}{name}");
        row(&path, &forms::form(field), schema, field, page);
        if fields_of(field).is_some() && !forms::is_secret_key(inner(field)) {
            let list = if field.get("items").is_some() { "[]" } else { "" };
            rows(inner(field), &format!("{path}{list}."), page);
        }
    }
}

fn row(path: &str, form: &str, of: &Value, field: &Value, page: &mut String) {
    let name = path.rsplit('.').next().unwrap_or(path);
    let is_required = of["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let default = match field.get("default") {
        _ if is_required => "required".to_owned(),
        // The defaults of an object are those of its fields.
        Some(default) if default.is_object() && fields_of(field).is_some() => String::new(),
        Some(default) => format!("`{}`", default.to_string().replace(['"'], "").replace(',', ", ")),
        None => String::new(),
    };
    let description = field["description"].as_str().unwrap_or_default().replace("\n\n", " ");
    let form = form.replace('|', "\\|");
    let _ = writeln!(page, "| `{path}` | {form} | {default} | {description} |");
}

/// Returns the schema of a list's items, or the schema itself.
fn inner(field: &Value) -> &Value {
    field.get("items").unwrap_or(field)
}

/// Returns the fields of an object, or of the objects in a list.
fn fields_of(field: &Value) -> Option<&serde_json::Map<String, Value>> {
    inner(field)["properties"].as_object().filter(|fields| !fields.is_empty())
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{load_collector, load_relay};

    #[test]
    fn minimal_manifests_of_the_reference_are_valid() {
        assert_eq!(load_relay(RELAY, None).unwrap().warnings, []);
        assert_eq!(load_collector(COLLECTOR, None).unwrap().warnings, []);
        let page = reference();
        for part in [indented(RELAY), indented(COLLECTOR), forms::table()] {
            assert!(page.contains(&format!("\n{part}")), "the page lacks {part}");
        }
    }
}
