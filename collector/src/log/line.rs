//! Makes one line of one body: a body with newlines must not look like several events.

/// Returns the line for a body, its newline included.
///
/// The body is unchanged except for line breaks: `\n` and `\r` inside it are written as those two characters. One
/// newline at its very end becomes the line's own end, so that a body that already is a line (`format: Line`) is
/// stored as it is.
pub fn line(body: &[u8]) -> Vec<u8> {
    let text = body.strip_suffix(b"\n").unwrap_or(body);
    let mut line = Vec::with_capacity(text.len() + 1);
    for &byte in text {
        match byte {
            b'\n' => line.extend_from_slice(br"\n"),
            b'\r' => line.extend_from_slice(br"\r"),
            _ => line.push(byte),
        }
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn body_without_line_breaks_is_stored_as_it_came() {
        assert_eq!(
            line(br#"{"a": "\n stays as JSON wrote it"}"#),
            b"{\"a\": \"\\n stays as JSON wrote it\"}\n"
        );
        assert_eq!(line("не ASCII \u{0}".as_bytes()), "не ASCII \u{0}\n".as_bytes());
        assert_eq!(line(b""), b"\n");
    }

    #[test]
    fn line_breaks_inside_a_body_are_escaped() {
        assert_eq!(line(b"{\n  \"a\": 1\r\n}"), b"{\\n  \"a\": 1\\r\\n}\n");
        assert_eq!(line(b"\n\n"), b"\\n\n");
    }

    #[test]
    fn body_that_is_a_line_already_gets_no_second_newline() {
        assert_eq!(
            line(b"2023-09-10 17:24:31,123 - Received data: {}\n"),
            b"2023-09-10 17:24:31,123 - Received data: {}\n"
        );
        assert_eq!(line(b"\r\n"), b"\\r\n");
    }
}
