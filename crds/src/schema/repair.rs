//! Makes a value with mistakes readable, so that one mistake does not hide the others: a missing or wrongly typed
//! value gets a stand-in. The mistakes themselves were noted before.

use serde_json::{Map, Value};

use crate::problem::FieldPath;

/// A value whose types are those of its schema.
pub struct Repaired {
    /// The value, without its unknown fields. Values out of bounds or of another form are unchanged.
    pub value: Value,
    /// Places of the stand-ins. A mistake found there, or within, says nothing about the original.
    pub stand_ins: Vec<FieldPath>,
}

/// Makes `value`, which stands at `place`, readable.
pub fn repair(schema: &Value, value: &Value, place: &FieldPath) -> Repaired {
    let mut stand_ins = Vec::new();
    let value = repair_value(schema, value, place, &mut stand_ins);
    Repaired { value, stand_ins }
}

fn repair_value(schema: &Value, value: &Value, place: &FieldPath, stand_ins: &mut Vec<FieldPath>) -> Value {
    if schema["x-kubernetes-int-or-string"] == true {
        return match value {
            Value::String(_) => value.clone(),
            Value::Number(number) if number.is_u64() => value.clone(),
            _ => {
                stand_ins.push(place.clone());
                0.into()
            }
        };
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => {
            value.is_string() && schema["enum"].as_array().is_none_or(|all| all.contains(value))
        }
        Some("integer") => value.is_i64() || value.is_u64(),
        _ => true,
    };
    if !fits {
        stand_ins.push(place.clone());
    }
    match schema["type"].as_str() {
        Some("object") => repair_object(schema, value, place, stand_ins),
        Some("array") => {
            let items = value.as_array().into_iter().flatten().enumerate();
            items.map(|(at, item)| repair_value(&schema["items"], item, &place.item(at), stand_ins)).collect()
        }
        Some("string") if !fits => schema["enum"].as_array().map_or("".into(), |all| all[0].clone()),
        Some("integer") if !fits => 0.into(),
        _ => value.clone(),
    }
}

fn repair_object(schema: &Value, value: &Value, place: &FieldPath, stand_ins: &mut Vec<FieldPath>) -> Value {
    if let Some(values) = schema.get("additionalProperties") {
        let entries = value.as_object().into_iter().flatten();
        let repaired = entries
            .map(|(name, value)| (name.clone(), repair_value(values, value, &place.field(name), stand_ins)));
        return Value::Object(repaired.collect());
    }
    let Some(known) = schema["properties"].as_object() else {
        return value.as_object().cloned().unwrap_or_default().into();
    };
    let is_required =
        |name: &str| schema["required"].as_array().is_some_and(|all| all.contains(&name.into()));
    let wanted = known.iter().filter(|(name, _)| is_required(name) || value.get(name).is_some());
    let mut repaired = Map::new();
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        let unknown = value.as_object().into_iter().flatten().filter(|(name, _)| !known.contains_key(*name));
        repaired.extend(unknown.map(|(name, value)| (name.clone(), value.clone())));
    }
    for (name, schema) in wanted {
        repaired.insert(name.clone(), repair_value(schema, &value[name], &place.field(name), stand_ins));
    }
    repaired.into()
}
