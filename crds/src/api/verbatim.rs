//! Parts of Kubernetes' own API that a resource passes on unchanged.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::text::AMOUNT;

/// An object of Kubernetes' own API, kept as written, except for nulls: a null means the same as an absent field, and
/// in a field that does not exist it would make an API server fail. Validation reads it as its Kubernetes type. Its
/// schema accepts everything, because the whole schema would be larger than all the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Map<String, Value>")]
pub struct Verbatim(pub Map<String, Value>);

impl From<Map<String, Value>> for Verbatim {
    fn from(written: Map<String, Value>) -> Self {
        Self(without_nulls(written))
    }
}

fn without_nulls(fields: Map<String, Value>) -> Map<String, Value> {
    let said = fields.into_iter().filter(|(_, value)| !value.is_null());
    said.map(|(name, value)| (name, without_nulls_in(value))).collect()
}

fn without_nulls_in(value: Value) -> Value {
    match value {
        Value::Object(fields) => without_nulls(fields).into(),
        Value::Array(items) => items.into_iter().map(without_nulls_in).collect(),
        other => other,
    }
}

impl JsonSchema for Verbatim {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Verbatim".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
    }
}

/// An amount of a compute resource: `2`, `"500m"`, `"64Mi"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Amount(pub String);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        Ok(Self(match Written::deserialize(deserializer)? {
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text,
        }))
    }
}

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "x-kubernetes-int-or-string": true, "pattern": AMOUNT.pattern, "maxLength": AMOUNT.max_length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn null_is_left_out_wherever_it_stands() {
        let written = json!({ "key": null, "near": { "a": null, "b": [{ "c": null, "d": 1 }, []] } });
        let read: Verbatim = serde_json::from_value(written).unwrap();
        assert_eq!(json!(read), json!({ "near": { "b": [{ "d": 1 }, []] } }));
    }
}
