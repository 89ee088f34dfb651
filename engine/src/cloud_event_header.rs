//! The attributes of a CloudEvents event in HTTP headers (CloudEvents 1.0, HTTP protocol binding, section 3.1.3).

use percent_encoding::percent_decode_str;

/// The beginning of the name of every header that is an attribute.
pub const PREFIX: &str = "ce-";

/// Returns the attribute of a header, by its name; none if the header is not one.
pub fn attribute_name(header: &str) -> Option<&str> {
    let name = header.strip_prefix(PREFIX)?;
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (!name.is_empty() && name.bytes().all(is_plain)).then_some(name)
}

/// Returns the value of a header's attribute: without quotes, and with what was percent-encoded decoded. None if the
/// header is no string of an attribute: not UTF-8, an open quote, a control character.
pub fn decode(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let unquoted = match text.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None => text.to_owned(),
    };
    let decoded = percent_decode_str(&unquoted).decode_utf8().ok()?;
    decoded.chars().all(|char| !char.is_control()).then(|| decoded.into_owned())
}

/// Reads a quoted string (RFC 9110, section 5.6.4) behind its first quote.
fn unquote(quoted: &str) -> Option<String> {
    let mut text = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(text),
            '\\' => text.push(chars.next()?),
            char => text.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_unquoted_and_percent_decoded_and_broken_ones_are_refused() {
        let decoded = |value: &str| decode(value.as_bytes());
        for (value, expected) in [
            ("abc", "abc"),
            ("", ""),
            ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
            ("\"a b\"", "a b"),
            (r#""a \"b\" \\ c""#, r#"a "b" \ c"#),
            ("\"a%20b\"", "a b"),
            ("%22a%22", "\"a\""),
            ("a\"b", "a\"b"),
            ("100%", "100%"),
        ] {
            assert_eq!(decoded(value).as_deref(), Some(expected), "{value}");
        }
        for value in ["\"a", "\"a\"b", "\"a\\", "%ff", "a%0Ab", "%00"] {
            assert_eq!(decoded(value), None, "{value}");
        }
        assert_eq!(decode(b"\xff"), None);
    }

    #[test]
    fn attributes_have_plain_names() {
        assert_eq!(attribute_name("ce-subject"), Some("subject"));
        assert_eq!(attribute_name("ce-trace2"), Some("trace2"));
        for header in ["ce-", "ce-some-thing", "subject", "x-ce-id"] {
            assert_eq!(attribute_name(header), None, "{header}");
        }
    }
}
