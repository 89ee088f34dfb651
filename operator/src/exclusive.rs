//! What is ours alone in a child. Elsewhere others may add what they like; here one more key turns what we wrote
//! into something else: a Service without pods, a policy for nobody, a peer that nobody named.

use serde_json::{Map, Value, json};

/// Selectors, and what pods read as files.
const OURS: [&[&str]; 3] = [&["data"], &["spec", "selector"], &["spec", "podSelector"]];

/// The merge patch that takes away what others have put there; nothing where there is nothing.
pub fn without_strangers(live: &Value, wanted: &Value) -> Option<Value> {
    let mut patch = json!({});
    for path in OURS {
        let at = |object: &Value| object.pointer(&format!("/{}", path.join("/"))).cloned();
        let (Some(live), Some(wanted)) = (at(live), at(wanted)) else { continue };
        if let Some(part) = nulls(&live, &wanted) {
            path.iter().fold(&mut patch, |inner, field| &mut inner[*field]).clone_from(&part);
        }
    }
    (patch != json!({})).then_some(patch)
}

/// Null for each field that only the first has.
fn nulls(live: &Value, wanted: &Value) -> Option<Value> {
    let (Value::Object(live), Value::Object(wanted)) = (live, wanted) else { return None };
    let stranger = |(name, live): (&String, &Value)| {
        let part = match wanted.get(name) {
            Some(wanted) => nulls(live, wanted)?,
            None => Value::Null,
        };
        Some((name.clone(), part))
    };
    let found: Map<String, Value> = live.iter().filter_map(stranger).collect();
    (!found.is_empty()).then(|| found.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_others_in_selectors_and_data_go_and_all_else_stays() {
        let wanted = json!({
            "metadata": { "labels": { "a": "b" } }, "data": { "ours": "x" },
            "spec": { "podSelector": { "matchLabels": { "a": "b" } }, "selector": { "a": "b" } },
        });
        assert_eq!(without_strangers(&wanted, &wanted), None);
        let live = json!({
            "metadata": { "labels": { "a": "b", "note": "theirs" } },
            "data": { "ours": "changed", "theirs": "y" },
            "spec": {
                "podSelector": { "matchLabels": { "a": "b", "c": "d" }, "matchExpressions": [] },
                "selector": { "c": "d" }, "clusterIP": "10.0.0.1",
            },
        });
        let expected = json!({
            "data": { "theirs": null },
            "spec": {
                "podSelector": { "matchLabels": { "c": null }, "matchExpressions": null },
                "selector": { "c": null },
            },
        });
        assert_eq!(without_strangers(&live, &wanted), Some(expected));
    }

    #[test]
    fn what_we_do_not_speak_of_is_not_looked_into() {
        let live = json!({ "data": { "theirs": "y" }, "spec": { "selector": { "c": "d" } } });
        assert_eq!(without_strangers(&live, &json!({ "spec": {} })), None);
    }
}
