//! Rules for every field of both kinds, so that a new field cannot break them.

use serde_json::Value;

use super::{definition, spec_schema};
use crate::text::words;
use crate::{Collector, WebhookRelay};

/// The keywords that `check` reads, those that do not restrict values, and CEL.
const KEYWORDS: &[&str] = &[
    "additionalProperties",
    "default",
    "description",
    "enum",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
];

fn each_schema(visit: &mut impl FnMut(&str, &Value)) {
    fn walk(place: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
        visit(place, schema);
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            walk(&format!("{place}.{name}"), field, visit);
        }
        for of_each in ["items", "additionalProperties"] {
            if let Some(each) = schema.get(of_each) {
                walk(&format!("{place}[]"), each, visit);
            }
        }
    }
    walk("WebhookRelay", spec_schema::<WebhookRelay>(), visit);
    walk("Collector", spec_schema::<Collector>(), visit);
}

#[test]
fn every_field_is_described() {
    each_schema(&mut |place, schema| {
        let of_a_list_or_map = place.ends_with("[]");
        assert!(of_a_list_or_map || schema["description"].is_string(), "{place} has no description");
    });
}

#[test]
fn every_list_text_and_number_is_bounded() {
    each_schema(&mut |place, schema| {
        let bounds: &[&str] = match schema["type"].as_str() {
            Some("array") => &["maxItems", "x-kubernetes-list-type"],
            Some("string") if schema.get("enum").is_none() => &["maxLength", "pattern"],
            Some("integer") => &["minimum", "maximum"],
            Some("object") if schema.get("additionalProperties").is_some() => &["maxProperties"],
            Some("string" | "object") => &[],
            None if schema["x-kubernetes-int-or-string"] == true => &["maxLength", "pattern"],
            other => panic!("{place} is of type {other:?}"),
        };
        for bound in bounds {
            assert!(schema.get(bound).is_some(), "{place} has no {bound}");
        }
    });
}

/// An API server stores a default of the schema in each object, where no later default reaches it.
#[test]
fn only_defaults_that_never_change_are_stored_in_objects() {
    let mut stored = Vec::new();
    each_schema(&mut |place, schema| {
        if let Some(default) = schema.get("default") {
            stored.push(format!("{place}: {default}"));
        }
    });
    let expected = [
        "WebhookRelay.listener.port: 8443",
        "WebhookRelay.replicas: 1",
        "Collector.listener.port: 8080",
        r#"Collector.storage: {"persistent":{"size":"8Gi"}}"#,
    ];
    assert_eq!(stored, expected, "why these: see STORED_DEFAULTS in crds/src/schema/definition.rs");
}

#[test]
fn every_pattern_is_explained_in_words() {
    each_schema(&mut |place, schema| {
        if let (Some(pattern), Some(longest)) = (schema["pattern"].as_str(), schema["maxLength"].as_u64()) {
            assert!(words(pattern, longest).is_some(), "{place}: {pattern}");
        }
    });
}

#[test]
fn every_keyword_is_one_that_check_knows() {
    each_schema(&mut |place, schema| {
        for keyword in schema.as_object().unwrap().keys() {
            assert!(KEYWORDS.contains(&keyword.as_str()), "{place} uses {keyword}");
        }
    });
}

#[test]
fn a_definition_stays_under_200_kib() {
    let relay = serde_json::to_string(&definition::<WebhookRelay>()).unwrap();
    let collector = serde_json::to_string(&definition::<Collector>()).unwrap();
    assert!(relay.len() < 200 << 10 && collector.len() < 200 << 10);
}
