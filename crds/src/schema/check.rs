//! Checks a value against its schema as an API server does, but finds every mistake and describes it for people. It
//! knows only the keywords that our schemas use; a test fails when a schema uses another.

use std::collections::HashMap;

use regex_lite::Regex;
use serde_json::{Map, Value};

use crate::problem::{FieldPath, Problems};
use crate::text::{AMOUNT, words};

/// Adds everything in `value` that `schema` does not allow: unknown, missing and wrongly typed fields, values out of
/// bounds, texts of another form, repeated items. It does not evaluate CEL rules.
pub fn check(schema: &Value, value: &Value, place: &FieldPath, problems: &mut Problems) {
    if schema["x-kubernetes-int-or-string"] == true {
        return check_amount(schema, value, place, problems);
    }
    let fits = match (schema["type"].as_str(), value) {
        (Some("object"), Value::Object(fields)) => {
            check_object(schema, fields, place, problems);
            true
        }
        (Some("array"), Value::Array(items)) => {
            check_list(schema, items, place, problems);
            true
        }
        (Some("string"), Value::String(text)) => {
            check_text(schema, text, place, problems);
            true
        }
        (Some("integer"), Value::Number(number)) if number.is_i64() || number.is_u64() => {
            check_number(schema, number.as_f64().unwrap_or(f64::NAN), place, problems);
            true
        }
        _ => false,
    };
    if !fits {
        let hint = match (schema["type"].as_str(), value) {
            (Some("string"), Value::Number(_) | Value::Bool(_)) => ": put it in quotes",
            _ => "",
        };
        problems.add(place.clone(), format!("must be {}, not {}{hint}", wanted(schema), found(value)));
    }
}

fn check_object(schema: &Value, fields: &Map<String, Value>, place: &FieldPath, problems: &mut Problems) {
    if let Some(values) = schema.get("additionalProperties") {
        return check_map(schema, values, fields, place, problems);
    }
    let none = Map::new();
    let known = schema["properties"].as_object().unwrap_or(&none);
    for (name, value) in fields {
        match known.get(name) {
            Some(schema) => check(schema, value, &place.field(name), problems),
            None if schema["x-kubernetes-preserve-unknown-fields"] == true => {}
            None if known.is_empty() => {
                problems.add(place.field(name), "unknown field; this object has no fields");
            }
            None => {
                let names: Vec<&str> = known.keys().map(String::as_str).collect();
                problems
                    .add(place.field(name), format!("unknown field; known fields are {}", names.join(", ")));
            }
        }
    }
    for name in strings(&schema["required"]).filter(|name| !fields.contains_key(*name)) {
        problems.add(place.field(name), "is required");
    }
}

fn check_map(
    schema: &Value,
    values: &Value,
    entries: &Map<String, Value>,
    place: &FieldPath,
    problems: &mut Problems,
) {
    if schema["maxProperties"].as_u64().is_some_and(|most| entries.len() as u64 > most) {
        problems.add(place.clone(), format!("must have at most {} entries", schema["maxProperties"]));
    }
    for (name, value) in entries {
        check(values, value, &place.field(name), problems);
    }
}

/// Checks a quantity. A whole number is accepted like its text.
fn check_amount(schema: &Value, value: &Value, place: &FieldPath, problems: &mut Problems) {
    match value {
        Value::String(text) => check_text(schema, text, place, problems),
        Value::Number(number) if number.is_u64() => {}
        _ => problems.add(place.clone(), format!("{}, not {}", AMOUNT.error_text, found(value))),
    }
}

fn check_list(schema: &Value, items: &[Value], place: &FieldPath, problems: &mut Problems) {
    let (least, most) = (schema["minItems"].as_u64().unwrap_or(0), schema["maxItems"].as_u64());
    if (items.len() as u64) < least {
        problems.add(place.clone(), format!("must have at least {least} item"));
    }
    if most.is_some_and(|most| items.len() as u64 > most) {
        problems.add(place.clone(), format!("must have at most {} items", most.unwrap_or_default()));
    }
    for (index, item) in items.iter().enumerate() {
        check(&schema["items"], item, &place.item(index), problems);
    }

    let keys: Vec<&str> = strings(&schema["x-kubernetes-list-map-keys"]).collect();
    let by_itself = schema["x-kubernetes-list-type"] == "set";
    if keys.is_empty() && !by_itself {
        return;
    }
    let mut seen = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        let identity: Vec<&Value> =
            if by_itself { vec![item] } else { keys.iter().map(|key| &item[*key]).collect() };
        if identity.iter().any(|part| part.is_null()) {
            continue; // reported as missing already
        }
        let identity = identity.iter().map(ToString::to_string).collect::<Vec<_>>().join(" with ");
        if let Some(first) = seen.get(&identity) {
            let at = if let [key] = keys[..] { place.item(index).field(key) } else { place.item(index) };
            problems.add(at, format!("repeats {identity} of {}", place.item(*first)));
        } else {
            seen.insert(identity, index);
        }
    }
}

fn check_text(schema: &Value, text: &str, place: &FieldPath, problems: &mut Problems) {
    if let Some(allowed) = schema["enum"].as_array() {
        if !allowed.iter().any(|one| one == text) {
            problems.add(
                place.clone(),
                format!("must be {}", strings(&schema["enum"]).collect::<Vec<_>>().join(" or ")),
            );
        }
        return;
    }
    if schema["maxLength"].as_u64().is_some_and(|most| text.chars().count() as u64 > most) {
        problems.add(place.clone(), format!("must have at most {} characters", schema["maxLength"]));
    } else if let Some(pattern) = schema["pattern"].as_str()
        && !Regex::new(pattern).is_ok_and(|form| form.is_match(text))
    {
        let says = schema["maxLength"].as_u64().and_then(|longest| words(pattern, longest));
        let says = says.map_or_else(|| format!("must match {pattern}"), str::to_owned);
        problems.add(place.clone(), says);
    }
}

/// Checks the bounds of a number. They are floats in Kubernetes' own type, and exact up to 2^53.
fn check_number(schema: &Value, number: f64, place: &FieldPath, problems: &mut Problems) {
    let least = schema["minimum"].as_f64().unwrap_or(f64::NEG_INFINITY);
    let most = schema["maximum"].as_f64().unwrap_or(f64::INFINITY);
    if !(least..=most).contains(&number) {
        problems.add(place.clone(), format!("must be from {least} to {most}"));
    }
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn wanted(schema: &Value) -> &str {
    match schema["type"].as_str() {
        Some("array") => "a list",
        Some("string") => "a string",
        Some("integer") => "a whole number",
        _ => "an object",
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("the boolean {value}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the string {text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
