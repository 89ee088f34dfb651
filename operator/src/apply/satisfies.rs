//! Comparison of an object with what was applied. An API server adds defaults, and others add fields of their own; each
//! applied field has to be there, in its meaning: `1000m` of CPU are `1`.

use serde_json::{Map, Value};

/// Returns whether `live` has everything that `wanted` has.
pub fn satisfies(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => covers_fields(live, wanted),
        (Value::Array(live), Value::Array(wanted)) => covers_items(live, wanted),
        // An API server leaves out what is empty.
        (Value::Null, wanted) => is_empty(wanted),
        (live, wanted) => live == wanted || is_same_amount(live, wanted),
    }
}

fn covers_fields(live: &Map<String, Value>, wanted: &Map<String, Value>) -> bool {
    wanted.iter().all(|(name, wanted)| satisfies(live.get(name).unwrap_or(&Value::Null), wanted))
}

/// Compares lists. A list with named items may have further items. Any other list must be equal.
fn covers_items(live: &[Value], wanted: &[Value]) -> bool {
    let key = ["name", "uid"]
        .into_iter()
        .find(|key| !wanted.is_empty() && wanted.iter().all(|item| item[key].is_string()));
    match key {
        Some(key) => wanted.iter().all(|wanted| {
            live.iter().find(|live| live[key] == wanted[key]).is_some_and(|live| satisfies(live, wanted))
        }),
        None => {
            live.len() == wanted.len()
                && live.iter().zip(wanted).all(|(live, wanted)| satisfies(live, wanted))
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn is_same_amount(live: &Value, wanted: &Value) -> bool {
    matches!((amount(live), amount(wanted)), (Some(live), Some(wanted)) if live == wanted)
}

/// Returns a quantity in thousandths; absent if it is none.
pub fn amount(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => millis(text),
        Value::Number(number) => number.as_i64().map(|number| i128::from(number) * 1000),
        _ => None,
    }
}

fn millis(text: &str) -> Option<i128> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let factor: i128 = match unit {
        "m" => 1,
        "" => 1000,
        "k" => 1000 * 1000,
        "M" => 1000 * 1_000_000,
        "G" => 1000 * 1_000_000_000,
        "T" => 1000 * 1_000_000_000_000,
        "Ki" => 1000 << 10,
        "Mi" => 1000 << 20,
        "Gi" => 1000 << 30,
        "Ti" => 1000 << 40,
        _ => return None,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let scale = 10_i128.checked_pow(u32::try_from(part.len()).ok()?)?;
    let digits = format!("{whole}{part}").parse::<i128>().ok()?;
    digits.checked_mul(factor).map(|product| product / scale)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_add_does_not_matter() {
        let wanted = json!({ "spec": { "ports": [{ "name": "a", "port": 1 }], "selector": { "x": "y" } } });
        let live = json!({
            "spec": {
                "clusterIP": "10.0.0.1", "selector": { "x": "y" },
                "ports": [{ "name": "b", "port": 2 }, { "name": "a", "port": 1, "protocol": "TCP" }],
            },
            "status": {},
        });
        assert!(satisfies(&live, &wanted));
    }

    #[test]
    fn what_is_missing_or_another_does() {
        let wanted = json!({ "a": { "b": [1, 2] }, "c": "d" });
        assert!(satisfies(&wanted, &wanted));
        for live in [
            json!({ "a": { "b": [1, 2] } }),
            json!({ "a": { "b": [1, 2] }, "c": "e" }),
            json!({ "a": { "b": [1] }, "c": "d" }),
            json!({ "a": { "b": [1, 2, 3] }, "c": "d" }),
            json!({ "a": { "b": [2, 1] }, "c": "d" }),
        ] {
            assert!(!satisfies(&live, &wanted), "{live}");
        }
        assert!(!satisfies(&json!({ "ports": [{ "name": "a" }] }), &json!({ "ports": [{ "name": "b" }] })));
    }

    #[test]
    fn empty_is_as_good_as_absent() {
        let empty = json!({ "labels": {}, "list": [], "text": "", "deep": { "er": {} } });
        assert!(satisfies(&json!({}), &empty));
        assert!(!satisfies(&json!({}), &json!({ "flag": false })), "a default of the server may be true");
    }

    #[test]
    fn amounts_are_compared_by_what_they_mean() {
        for (live, wanted) in
            [("1", json!(1)), ("1", json!("1000m")), ("500m", json!("0.5")), ("1Gi", json!("1024Mi"))]
        {
            assert!(satisfies(&json!(live), &wanted), "{live} {wanted}");
        }
        for (live, wanted) in
            [("1", json!("1001m")), ("1Gi", json!("1G")), ("1x", json!("1")), ("a", json!("b"))]
        {
            assert!(!satisfies(&json!(live), &wanted), "{live} {wanted}");
        }
    }
}
