//! The language of the descriptions: each says what its field is, its form or unit, and what happens when it is absent.

use serde_json::Value;

use super::definition;
use crate::{Collector, WebhookRelay};

/// Words with which a riddle begins. A description begins with a noun phrase.
const NO_NOUNS: &[&str] =
    &["What", "Who", "Whom", "Whose", "Whether", "How", "Why", "When", "Where", "Which"];
/// A description with fewer words cannot name form, unit or effect.
const MIN_WORDS: usize = 4;
/// Words that name a form, a unit or an effect.
const FORMS_AND_EFFECTS: &[&str] = &[
    "absent",
    "default",
    "must",
    "needs",
    "exactly",
    "example",
    "maximum",
    "minimum",
    "key of",
    "keys of",
    "`metadata.name`",
    "name of",
    "names of",
    "path",
    "url",
    "port",
    "number",
    "bytes",
    "header",
    "secret",
    "absolute",
    "duration",
    "sent as",
    "reference",
    "signature",
    "token",
    "credentials",
];

/// A field of the `spec` and its schema.
struct Described<'a> {
    path: String,
    schema: &'a Value,
    is_required: bool,
}

fn described<'a>(path: &str, schema: &'a Value, found: &mut Vec<Described<'a>>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let required = schema["required"].as_array().into_iter().flatten();
        let is_required = required.into_iter().any(|one| one == name);
        described(&path, field, found);
        described(&format!("{path}[]"), &field["items"], found);
        found.push(Described { path, schema: field, is_required });
    }
}

/// Returns the mistakes in the language of a description.
fn mistakes(field: &Described<'_>) -> Vec<String> {
    let text = field.schema["description"].as_str().unwrap_or_default();
    let lowercase = text.to_lowercase();
    let mut mistakes = Vec::new();
    let first = text.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    if NO_NOUNS.contains(&first) {
        mistakes.push(format!("begins with {first:?} instead of a noun phrase"));
    }
    let has_form = FORMS_AND_EFFECTS.iter().any(|word| lowercase.contains(word)) || text.contains('`');
    if text.split_whitespace().count() < MIN_WORDS || !has_form {
        mistakes.push("names neither form, unit nor effect".to_owned());
    }
    let default = &field.schema["default"];
    let is_one_of_several = ONE_OF_SEVERAL.iter().any(|way| field.path.contains(way));
    if !field.is_required && default.is_null() && !text.contains("Absent: ") && !is_one_of_several {
        mistakes.push("does not say what happens when it is absent: \"Absent: ...\"".to_owned());
    }
    if default.is_string() || default.is_number() {
        let value = default.to_string().replace('"', "");
        let says = [format!("Default {value}"), format!("Default `{value}`"), format!("{value} for a")];
        if !says.iter().any(|says| text.contains(says)) {
            mistakes.push(format!("does not name the default: \"Default {value}\""));
        }
    }
    mistakes
}

/// Fields of which an object has exactly one, as its own description says: none of them has a meaning when absent.
const ONE_OF_SEVERAL: &[&str] = &[
    ".verify.",
    ".sign.hmac",
    ".sign.standardWebhooks",
    ".authorization.",
    ".headers[].value",
    ".headers[].secretRef",
    ".destinations[].collectorRef",
    ".destinations[].service",
    ".destinations[].url",
    ".listener.tls.selfSigned",
    ".listener.tls.secretName",
    ".listener.tls.certManager",
    ".listener.tls.none",
    ".persistent",
    ".ephemeral",
];

#[test]
fn every_description_names_form_and_default_in_plain_words() {
    let mut found = Vec::new();
    let relay = super::spec_schema_with_defaults::<WebhookRelay>();
    let collector = super::spec_schema_with_defaults::<Collector>();
    described("WebhookRelay", &relay, &mut found);
    described("Collector", &collector, &mut found);
    let of = |field: &Described<'_>| {
        mistakes(field).into_iter().map(|mistake| format!("{}: {mistake}", field.path)).collect::<Vec<_>>()
    };
    let all: Vec<String> = found.iter().flat_map(of).collect();
    assert!(found.len() > 200 && all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn descriptions_without_form_or_default_are_refused() {
    let mistakes_of = |schema: Value, is_required| {
        mistakes(&Described { path: "spec.one".into(), schema: &schema, is_required }).len()
    };
    let text = |description: &str| serde_json::json!({ "description": description });
    assert_eq!(mistakes_of(text("The most."), true), 1);
    assert_eq!(mistakes_of(text("How many requests there are at once, as a number."), true), 1);
    assert_eq!(mistakes_of(text("Maximum number of requests in flight."), true), 0);
    assert_eq!(mistakes_of(text("Maximum number of requests in flight."), false), 1);
    assert_eq!(mistakes_of(text("Maximum number of requests in flight. Absent: no limit."), false), 0);
    let with_default = |description: &str| serde_json::json!({ "description": description, "default": 16 });
    assert_eq!(mistakes_of(with_default("Maximum number of requests in flight."), false), 1);
    assert_eq!(mistakes_of(with_default("Maximum number of requests in flight. Default 17."), false), 1);
    assert_eq!(mistakes_of(with_default("Maximum number of requests in flight. Default 16."), false), 0);
}

/// The parts of the definitions outside of the `spec`.
#[test]
fn descriptions_of_status_begin_with_nouns() {
    for definition in [definition::<WebhookRelay>(), definition::<Collector>()] {
        let value = serde_json::to_value(definition).unwrap();
        let schema = &value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
        let mut found = Vec::new();
        described("status", schema, &mut found);
        for Described { path, schema, .. } in found {
            let text = schema["description"].as_str().unwrap_or_default();
            let first = text.split_whitespace().next().unwrap_or_default();
            assert!(
                text.split_whitespace().count() >= MIN_WORDS && !NO_NOUNS.contains(&first),
                "{path}: {text}"
            );
        }
    }
}
