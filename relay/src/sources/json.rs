//! Reads the description that a provider gives in its JSON. A body that is not JSON has no description, and is an
//! event all the same.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::body_kind::without_mark;

/// The fields of a JSON object; none where there is no object.
pub struct Json<'a>(HashMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Json<'a> {
    /// Parses a body; one that is no JSON object has no fields.
    pub fn of(body: &'a [u8]) -> Self {
        Self(std::str::from_utf8(without_mark(body)).ok().and_then(object).unwrap_or_default())
    }

    /// Returns the object in a field.
    pub fn at(&self, field: &str) -> Self {
        Self(self.0.get(field).and_then(|value| object(value.get())).unwrap_or_default())
    }

    /// Returns the text in a field, or its number or boolean as written; `None` if that is empty.
    pub fn text(&self, field: &str) -> Option<String> {
        let raw = self.0.get(field)?.get();
        match raw.as_bytes().first()? {
            b'"' => String::deserialize(&mut serde_json::Deserializer::from_str(raw))
                .ok()
                .filter(|text| !text.is_empty()),
            b'{' | b'[' | b'n' => None,
            _ => Some(raw.to_owned()),
        }
    }

    /// Returns the text at the path of these fields.
    pub fn text_at(&self, path: &[String]) -> Option<String> {
        let (last, parents) = path.split_last()?;
        let Some((first, rest)) = parents.split_first() else { return self.text(last) };
        rest.iter().fold(self.at(first), |object, field| object.at(field)).text(last)
    }

    /// Returns the names of the fields, in no order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(AsRef::as_ref)
    }
}

fn object(text: &str) -> Option<HashMap<Cow<'_, str>, &RawValue>> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_are_written_and_nothing_else_is() {
        let json = Json::of(
            br#"{"id": "a\u0062", "n": 12345678901234567890123, "t": true, "e": "", "z": null, "o": {"p": {"q": 1.0}}}"#,
        );
        let text = |field| json.text(field);
        assert_eq!(text("id").as_deref(), Some("ab"));
        assert_eq!(text("n").as_deref(), Some("12345678901234567890123"));
        assert_eq!(text("t").as_deref(), Some("true"));
        assert_eq!((text("e"), text("z"), text("o"), text("x")), (None, None, None, None));
        let path = ["o", "p", "q"].map(str::to_owned);
        assert_eq!(json.text_at(&path).as_deref(), Some("1.0"));
        assert_eq!((json.text_at(&path[..2]), json.text_at(&path[1..])), (None, None));
        assert_eq!(Json::of("\u{feff}{\"id\": 1}".as_bytes()).text("id").as_deref(), Some("1"));
        for body in [&b""[..], b"[1]", b"{", b"\xff", b"<a/>"] {
            assert_eq!(Json::of(body).fields().next(), None);
        }
    }
}
