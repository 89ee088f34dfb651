//! The rule for bodies: JSON is required unless the `Content-Type` says otherwise. Nothing here changes a byte; an
//! accepted body is stored and delivered as received.

use serde::de::IgnoredAny;

/// A body with a JSON content type, or none, that is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidJson;

/// Checks that a body may be accepted with its content type.
///
/// A body with any content type but JSON is accepted. A URL-encoded form must look like one, because `curl -d` gives
/// that type to anything: the old receiver parsed such bodies as JSON, and so does this one.
pub fn check(content_type: Option<&str>, body: &[u8]) -> Result<(), InvalidJson> {
    let acceptable = match kind(content_type) {
        Kind::Opaque => true,
        Kind::Form => is_form(body) || is_json(body),
        Kind::Json => is_json(body),
    };
    if acceptable { Ok(()) } else { Err(InvalidJson) }
}

/// Checks that a body may be the data of a CloudEvents event in binary mode: none, or of any type, unless a JSON type
/// names something that is not JSON.
pub fn check_data(content_type: Option<&str>, body: &[u8]) -> Result<(), InvalidJson> {
    if body.is_empty() || !claims_json(content_type) { Ok(()) } else { check(content_type, body) }
}

/// Returns whether a content type is JSON, by its own name or by its suffix.
fn claims_json(content_type: Option<&str>) -> bool {
    let media_type = media_type(content_type);
    media_type.ends_with("/json") || media_type.ends_with("+json")
}

enum Kind {
    Json,
    Form,
    Opaque,
}

/// Returns the media type in lowercase, without parameters.
fn media_type(content_type: Option<&str>) -> String {
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    media_type.trim().to_ascii_lowercase()
}

fn kind(content_type: Option<&str>) -> Kind {
    let media_type = media_type(content_type);
    match media_type.as_str() {
        "application/x-www-form-urlencoded" => Kind::Form,
        "" => Kind::Json,
        _ if claims_json(content_type) => Kind::Json,
        _ => Kind::Opaque,
    }
}

/// Returns whether it is JSON by RFC 8259, or as Python reads it, on which the old system ran: a byte order mark may
/// precede it, and NaN and infinities are numbers. Depth costs no stack.
fn is_json(body: &[u8]) -> bool {
    // Skipped strings are not checked for UTF-8, so the text is, as a whole.
    let Ok(text) = std::str::from_utf8(without_mark(body)) else { return false };
    let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
    is_json(text) || (CONSTANTS.iter().any(|word| text.contains(word)) && is_json(&without_constants(text)))
}

/// Returns a body without the byte order mark that may stand before it (RFC 8259, section 8.1).
pub fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)
}

/// Numbers of Python that JSON does not have; a minus may precede the second.
const CONSTANTS: [&str; 2] = ["NaN", "Infinity"];

/// Returns a text with a zero in place of each of these numbers, and of no part of a string.
fn without_constants(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut in_string) = (text, false);
    while let Some(char) = rest.chars().next() {
        let mut length = char.len_utf8();
        let constant = CONSTANTS.iter().find(|word| !in_string && rest.starts_with(*word));
        match (char, constant) {
            (_, Some(word)) => {
                length = word.len();
                out.push('0');
            }
            // What is escaped ends no string.
            ('\\', _) if in_string => {
                length += rest[length..].chars().next().map_or(0, char::len_utf8);
                out.push_str(&rest[..length]);
            }
            _ => {
                in_string ^= char == '"';
                out.push(char);
            }
        }
        rest = &rest[length..];
    }
    out
}

/// Returns whether every byte is allowed in `application/x-www-form-urlencoded` (URL standard, section 5) and there
/// is a pair.
fn is_form(body: &[u8]) -> bool {
    body.contains(&b'=')
        && body
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'{' | b'}' | b'"' | b'<' | b'>'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_the_rule_and_other_types_must_be_named() {
        let accepted: &[(Option<&str>, &[u8])] = &[
            (None, b"{\"a\": 1}"),
            (Some("application/json; charset=utf-8"), b"[]"),
            (Some("application/cloudevents+json"), b"null"),
            (None, b"\xef\xbb\xbf{\"a\": 1}"),
            (None, b"{\"a\": [NaN, Infinity, -Infinity], \"b\": \"NaN\\\"NaN\"}"),
            (Some("application/yaml"), b"a: 1"),
            (Some("application/x-ndjson"), b"{}\n{}"),
            (Some("application/x-protobuf"), b"\x08\x01"),
            (Some("application/octet-stream"), b"\x00\x01"),
            (Some("application/xml"), b"<a/>"),
            (Some("application/soap+xml"), b"<a/>"),
            (Some("TEXT/plain"), b"link down"),
            (Some("multipart/form-data; boundary=x"), b"--x--"),
            (Some("application/x-www-form-urlencoded"), b"status=up&name=a%20b"),
            (Some("application/x-www-form-urlencoded"), b"{\"sent\": \"by curl -d\"}"),
        ];
        for (content_type, body) in accepted {
            assert_eq!(check(*content_type, body), Ok(()), "{content_type:?}");
        }
        let refused: &[(Option<&str>, &[u8])] = &[
            (None, b""),
            (None, b"link down"),
            (Some("application/json"), b"{\"a\": "),
            (Some("application/json"), b"{\"a\": \"\xff\"}"),
            (None, b"{\"a\": NaNNaN}"),
            (None, b"{\"a\": N}"),
            (None, b"\xef\xbb\xbf\xef\xbb\xbf{}"),
            (Some("application/x-www-form-urlencoded"), b"not json"),
            (Some("application/x-www-form-urlencoded"), b"{\"a\": \"b=c\""),
        ];
        for (content_type, body) in refused {
            assert_eq!(check(*content_type, body), Err(InvalidJson), "{content_type:?}");
        }
    }

    #[test]
    fn data_of_a_cloud_event_is_absent_or_of_any_type() {
        for (content_type, body) in [
            (None, &b""[..]),
            (None, b"link down"),
            (Some("application/json"), b""),
            (Some("application/json"), b"{}"),
            (Some("application/octet-stream"), b"\x00\xff"),
            (Some("application/x-protobuf"), b"\x08\x01"),
        ] {
            assert_eq!(check_data(content_type, body), Ok(()), "{content_type:?}");
        }
        for content_type in ["application/json", "application/vnd.a+json; charset=utf-8"] {
            assert_eq!(check_data(Some(content_type), b"{"), Err(InvalidJson), "{content_type}");
        }
    }

    #[test]
    fn a_million_levels_of_json_cost_no_stack() {
        let depth = 1_000_000;
        let deep = [vec![b'['; depth], vec![b']'; depth]].concat();
        assert_eq!(check(None, &deep), Ok(()));
    }
}
