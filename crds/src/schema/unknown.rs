//! Finds the parts of a value that a schema does not know: fields of a newer version.

use serde_json::Value;

use crate::problem::FieldPath;

/// Returns the outermost fields of `value`, which stands at `place`, that `schema` does not know.
pub fn unknown<'a>(schema: &Value, value: &'a Value, place: &FieldPath) -> Vec<(FieldPath, &'a Value)> {
    let mut found = Vec::new();
    find(schema, value, place, &mut found);
    found
}

fn find<'a>(schema: &Value, value: &'a Value, place: &FieldPath, found: &mut Vec<(FieldPath, &'a Value)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let known = schema["properties"].get(name).or(schema.get("additionalProperties"));
                match known {
                    Some(schema) => find(schema, value, &place.field(name), found),
                    None if schema["x-kubernetes-preserve-unknown-fields"] == true => {}
                    None => found.push((place.field(name), value)),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find(&schema["items"], item, &place.item(index), found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::WebhookRelay;
    use crate::schema::spec_schema;

    #[test]
    fn fields_that_the_schema_does_not_know_are_found_wherever_they_stand() {
        let spec = json!({
            "tide": 1,
            "replicas": 2,
            "pod": { "labels": { "tide": "high" }, "affinity": { "tide": {} }, "tide": {} },
            "destinations": [{ "name": "quay" }, { "name": "pilot", "tide": { "high": true } }],
        });
        let found = unknown(spec_schema::<WebhookRelay>(), &spec, &FieldPath::of("spec"));
        let found: Vec<String> = found.iter().map(|(place, value)| format!("{place}: {value}")).collect();
        assert_eq!(
            found,
            [r#"spec.destinations[1].tide: {"high":true}"#, "spec.pod.tide: {}", "spec.tide: 1"]
        );
    }
}
