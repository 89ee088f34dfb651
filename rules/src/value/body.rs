//! The body of an event as a value, by its `Content-Type`.

use std::borrow::Cow;

use super::data::{Data, Map};
use super::{json, xml};

/// Maximum bytes of a body that is parsed for rules: 1 MiB. The body of a larger event is missing in expressions.
pub const MAX_PARSED: usize = 1 << 20;

/// Form in which a body was read for rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// Read as JSON text.
    Json,
    /// Read as XML text.
    Xml,
    /// Read as a URL-encoded form.
    Form,
    /// Text that is none of the others.
    Text,
    /// Not text: the body is missing in expressions.
    Binary,
    /// More than 1 MiB: the body is missing in expressions.
    TooLarge,
}

/// A body as rules see it.
pub(crate) struct Body<'a> {
    pub(crate) kind: BodyKind,
    /// The value; `None`: it is missing.
    pub(crate) data: Option<Data<'a>>,
}

impl<'a> Body<'a> {
    /// Reads a body. One that is not what its type says is text.
    pub(crate) fn parse(content_type: Option<&[u8]>, bytes: &'a [u8]) -> Self {
        if bytes.len() > MAX_PARSED {
            return Self { kind: BodyKind::TooLarge, data: None };
        }
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let Ok(text) = std::str::from_utf8(bytes) else { return Self { kind: BodyKind::Binary, data: None } };
        let (kind, data) = match claimed(content_type) {
            Claim::Json => (BodyKind::Json, json::parse(bytes)),
            Claim::Xml => (BodyKind::Xml, xml::parse(text)),
            // `curl -d` gives the type of a form to anything, so JSON is looked for first, as the sources do.
            Claim::Form => match json::parse(bytes) {
                Some(data) => (BodyKind::Json, Some(data)),
                None => (BodyKind::Form, Some(form(bytes))),
            },
            Claim::Other => (BodyKind::Text, None),
        };
        match data {
            Some(data) => Self { kind, data: Some(data) },
            None => Self { kind: BodyKind::Text, data: Some(Data::Text(Cow::Borrowed(text))) },
        }
    }
}

enum Claim {
    Json,
    Xml,
    Form,
    Other,
}

/// Returns the form that a `Content-Type` names. Without one a body is JSON, as the sources require.
fn claimed(content_type: Option<&[u8]>) -> Claim {
    let text = content_type.map(String::from_utf8_lossy).unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.as_str() {
        "" => Claim::Json,
        "application/x-www-form-urlencoded" => Claim::Form,
        one if one.ends_with("/json") || one.ends_with("+json") => Claim::Json,
        one if one.ends_with("/xml") || one.ends_with("+xml") => Claim::Xml,
        _ => Claim::Other,
    }
}

/// Returns the fields of a form; one that repeats is a list.
fn form(bytes: &[u8]) -> Data<'_> {
    let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = form_urlencoded::parse(bytes).collect();
    pairs.sort_by(|one, other| one.0.cmp(&other.0));
    let mut fields: Vec<(Cow<'_, str>, Data<'_>)> = Vec::new();
    for (name, value) in pairs {
        let value = Data::Text(value);
        match fields.last_mut() {
            Some((last, Data::List(values))) if *last == name => values.push(value),
            Some((last, first)) if *last == name => {
                let first_value = std::mem::replace(first, Data::Null);
                *first = Data::List(vec![first_value, value]);
            }
            _ => fields.push((name, value)),
        }
    }
    Data::Map(Map::new(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_is_read_by_its_type() {
        let read = |content_type: Option<&str>, body: &'static str| {
            let body = Body::parse(content_type.map(str::as_bytes), body.as_bytes());
            (body.kind, format!("{:?}", body.data.unwrap()))
        };
        let same = |content_type, body, kind, json: &'static str| {
            let expected = json::parse(json.as_bytes()).unwrap();
            assert_eq!(read(content_type, body), (kind, format!("{expected:?}")), "{content_type:?} {body}");
        };
        let xml = Some("text/xml; charset=utf-8");
        let form = Some("application/x-www-form-urlencoded");
        same(None, "\u{feff}{\"a\": [1, 2.5, null, true]}", BodyKind::Json, r#"{"a": [1, 2.5, null, true]}"#);
        same(None, r#"{"a": 1, "b": 2, "a": 3}"#, BodyKind::Json, r#"{"a": 3, "b": 2}"#);
        same(None, r#"{"\u0061": "\n"}"#, BodyKind::Json, r#"{"a": "\n"}"#);
        same(None, "18446744073709551615", BodyKind::Json, "18446744073709551615.0");
        same(Some("application/json"), "{", BodyKind::Text, r#""{""#);
        same(form, "a=1&b=x%20y&a=2&a=3", BodyKind::Form, r#"{"a": ["1", "2", "3"], "b": "x y"}"#);
        same(form, r#"{"a": 1}"#, BodyKind::Json, r#"{"a": 1}"#);
        same(
            xml,
            r#"<x:alert xmlns:x="urn:x" level="5"><site>kyiv</site><hop>a</hop><hop>b</hop> up </x:alert>"#,
            BodyKind::Xml,
            r##"{"alert": {"@level": "5", "site": "kyiv", "hop": ["a", "b"], "#text": "up"}}"##,
        );
        same(
            xml,
            r#"<!DOCTYPE a [<!ENTITY b "c">]><a/>"#,
            BodyKind::Text,
            r#""<!DOCTYPE a [<!ENTITY b \"c\">]><a/>""#,
        );
        same(Some("text/plain"), "link down", BodyKind::Text, r#""link down""#);
    }

    #[test]
    fn body_that_is_no_text_or_too_large_is_missing() {
        let binary = Body::parse(Some(b"application/octet-stream"), b"\xff\x00");
        assert_eq!((binary.kind, binary.data), (BodyKind::Binary, None));
        let large = vec![b' '; MAX_PARSED + 1];
        let large = Body::parse(None, &large);
        assert_eq!((large.kind, large.data), (BodyKind::TooLarge, None));
    }

    #[test]
    fn body_that_is_too_deep_is_text() {
        let json = "[".repeat(4000) + &"]".repeat(4000);
        assert_eq!(Body::parse(None, json.as_bytes()).kind, BodyKind::Text);
        let xml = "<a>".repeat(4000) + &"</a>".repeat(4000);
        assert_eq!(Body::parse(Some(b"text/xml"), xml.as_bytes()).kind, BodyKind::Text);
    }
}
