//! YAML, read as the JSON that an API server would be sent: absent where it says null, and never more than it may be.
//! Aliases of aliases are short to write and endless to read.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// What a document may take in memory, about: ten times what etcd keeps of a resource.
const MOST_BYTES: usize = 16 << 20;
/// What a value takes besides its text.
const VALUE: usize = 72;

/// Reads one document.
pub fn read<'de, D: Deserializer<'de>>(document: D) -> Result<Value, D::Error> {
    Tree { left: &Cell::new(MOST_BYTES) }.deserialize(document)
}

/// Reads a value of a document, as long as there is room left.
#[derive(Clone, Copy)]
struct Tree<'a> {
    left: &'a Cell<usize>,
}

impl Tree<'_> {
    fn take<E: Error>(self, text: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(VALUE + text);
        self.left.set(left.ok_or_else(|| E::custom("is too large"))?);
        Ok(())
    }

    fn scalar<E: Error>(self, value: impl Into<Value>) -> Result<Value, E> {
        self.take(0)?;
        Ok(value.into())
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Value, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("what JSON can say")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.scalar(Value::Null)
    }

    /// An empty document.
    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.scalar(Number::from_f64(value).ok_or_else(|| E::custom("is no number of JSON"))?)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.take(value.len())?;
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        self.take(0)?;
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(self)? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Value, A::Error> {
        self.take(0)?;
        let mut fields = Map::new();
        while let Some(name) = mapping.next_key::<String>()? {
            self.take(name.len())?;
            let value = mapping.next_value_seed(self)?;
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format_args!("duplicate entry with key {name:?}")));
            }
            fields.insert(name, value);
        }
        fields.retain(|_, value| !value.is_null());
        Ok(fields.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_text(text: &str) -> Result<Value, String> {
        read(serde_yaml::Deserializer::from_str(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_those_of_json_and_a_null_field_is_absent() {
        assert_eq!(
            read_text(
                "{a: 1, b: -1, c: 1.5, d: [x, null, true], e: null, f: {g: ~}, 7: \"8\", h: &h z, i: *h}"
            ),
            Ok(
                json!({"a": 1, "b": -1, "c": 1.5, "d": ["x", null, true], "f": {}, "7": "8", "h": "z", "i": "z"})
            )
        );
        assert_eq!(read_text(""), Ok(Value::Null));
    }

    #[test]
    fn what_json_cannot_say_is_refused_with_its_place() {
        assert_eq!(read_text("a: .nan"), Err("a: is no number of JSON at line 1 column 4".into()));
        assert_eq!(
            read_text("\na: 1\na: 2"),
            Err("duplicate entry with key \"a\" at line 2 column 1".into())
        );
        let tagged = read_text("a: !secret b").unwrap_err();
        assert!(tagged.starts_with("a: invalid type: enum, expected what JSON can say"), "{tagged}");
    }

    #[test]
    fn aliases_of_aliases_are_refused_before_they_are_many() {
        let long = "x".repeat(1 << 20);
        let text = format!("a: &a {long}\nb: [{}]", vec!["*a"; 14].join(", "));
        assert!(read_text(&text).is_ok());
        let text = format!("a: &a {long}\nb: [{}]", vec!["*a"; 16].join(", "));
        assert_eq!(read_text(&text), Err("b[14]: is too large at line 1 column 4".into()));

        let items = vec!["a"; 1_000].join(",");
        let text = format!("a: &a [{items}]\nb: [{}]", vec!["*a"; 1_000].join(", "));
        let refused = read_text(&text).unwrap_err();
        assert!(refused.contains("is too large"), "{refused}");
    }
}
