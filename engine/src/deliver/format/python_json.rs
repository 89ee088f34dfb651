//! JSON as Python writes it: what `json.dumps(json.loads(text))` gives, byte for byte, because the
//! old system's log lines were written so and people grep them.
//!
//! That is more than a JSON library does: numbers of any size stay, floats take Python's shortest
//! form, a repeated key keeps its first place with its last value, lone surrogates and `NaN` pass. One
//! pass reads the text into a tree whose leaves point into it, one writes the tree; both take time in
//! proportion to the text.

use indexmap::IndexMap;

use super::python_float;

/// Maximum depth of nesting. A deeper text is not taken for JSON; Python's own limit lies near 990.
const DEEPEST: usize = 512;

/// Returns the text as Python would write it, in ASCII; `None` if Python would not read it, or if it is nested deeper
/// than 512.
pub fn reserialize(text: &[u8]) -> Option<String> {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let text = std::str::from_utf8(text).ok()?;
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at < text.len() {
        return None;
    }
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    write_value(&value, &mut out);
    Some(out)
}

enum Value<'a> {
    /// Written as it was read: integers and literals.
    Verbatim(&'a str),
    Float(f64),
    /// The characters between the quotes, known to be well formed.
    Text(&'a str),
    Array(Vec<Value<'a>>),
    /// Keys as they will be written, which is unique for each key.
    Object(Vec<(String, Value<'a>)>),
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        self.skip_space();
        match self.peek()? {
            b'{' if depth < DEEPEST => self.object(depth + 1),
            b'[' if depth < DEEPEST => self.array(depth + 1),
            b'"' => self.string().map(Value::Text),
            b'-' | b'0'..=b'9' => self.number(),
            _ => ["null", "true", "false", "NaN", "Infinity"].into_iter().find_map(|word| self.word(word)),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value<'a>> {
        self.at += 1;
        let mut members = IndexMap::new();
        self.skip_space();
        if self.take(b'}') {
            return Some(Value::Object(vec![]));
        }
        loop {
            self.skip_space();
            let mut key = String::new();
            write_text(self.string()?, &mut key);
            self.skip_space();
            if !self.take(b':') {
                return None;
            }
            let value = self.value(depth)?;
            members.insert(key, value);
            self.skip_space();
            if self.take(b'}') {
                return Some(Value::Object(members.into_iter().collect()));
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Value<'a>> {
        self.at += 1;
        let mut items = vec![];
        self.skip_space();
        if self.take(b']') {
            return Some(Value::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.skip_space();
            if self.take(b']') {
                return Some(Value::Array(items));
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    /// Reads the characters between the quotes.
    fn string(&mut self) -> Option<&'a str> {
        if !self.take(b'"') {
            return None;
        }
        let start = self.at;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    self.at += 1;
                    match self.peek()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
                        b'u' => {
                            let digits = self.text.as_bytes().get(self.at + 1..self.at + 5)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return None;
                            }
                            self.at += 5;
                        }
                        _ => return None,
                    }
                }
                0..0x20 => return None,
                _ => self.at += 1,
            }
        }
        let content = &self.text[start..self.at];
        self.at += 1;
        Some(content)
    }

    fn number(&mut self) -> Option<Value<'a>> {
        let start = self.at;
        if self.take(b'-') && self.peek() == Some(b'I') {
            self.word("Infinity")?;
            return Some(Value::Verbatim("-Infinity"));
        }
        if !self.take(b'0') {
            self.digits()?;
        }
        let mut is_float = false;
        if self.take(b'.') {
            self.digits()?;
            is_float = true;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
            is_float = true;
        }
        let text = &self.text[start..self.at];
        match text {
            _ if is_float => text.parse().ok().map(Value::Float),
            "-0" => Some(Value::Verbatim("0")),
            _ => Some(Value::Verbatim(text)),
        }
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn word(&mut self, word: &'static str) -> Option<Value<'a>> {
        self.text[self.at..].starts_with(word).then(|| {
            self.at += word.len();
            Value::Verbatim(word)
        })
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }
}

fn write_value(value: &Value<'_>, out: &mut String) {
    match value {
        Value::Verbatim(text) => out.push_str(text),
        Value::Float(float) => out.push_str(&python_float::repr(*float)),
        Value::Text(text) => write_quoted(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_value(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (key, member)) in members.iter().enumerate() {
                out.push_str(if index > 0 { ", \"" } else { "\"" });
                out.push_str(key);
                out.push_str("\": ");
                write_value(member, out);
            }
            out.push('}');
        }
    }
}

fn write_quoted(content: &str, out: &mut String) {
    out.push('"');
    write_text(content, out);
    out.push('"');
}

/// Escapes what Python escapes, of characters and of escapes that were there.
fn write_text(content: &str, out: &mut String) {
    let mut rest = content;
    while let Some(at) = rest.find(|char: char| char == '\\' || !matches!(char, ' '..='~')) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let mut chars = rest.chars();
        match chars.next() {
            Some('\\') => match chars.next() {
                Some('u') => {
                    let (digits, after) = chars.as_str().split_at(4);
                    write_unit(u16::from_str_radix(digits, 16).unwrap_or_default(), out);
                    chars = after.chars();
                }
                Some('/') => out.push('/'),
                Some(escaped) => out.extend(['\\', escaped]),
                None => {}
            },
            Some(char) => char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| write_unit(*unit, out)),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}

/// Writes one UTF-16 unit: Python escapes characters outside the basic plane as two.
fn write_unit(unit: u16, out: &mut String) {
    match u8::try_from(unit) {
        Ok(b'"') => out.push_str("\\\""),
        Ok(b'\\') => out.push_str(r"\\"),
        Ok(b'\n') => out.push_str(r"\n"),
        Ok(b'\r') => out.push_str(r"\r"),
        Ok(b'\t') => out.push_str(r"\t"),
        Ok(0x08) => out.push_str(r"\b"),
        Ok(0x0c) => out.push_str(r"\f"),
        Ok(byte @ b' '..=b'~') => out.push(char::from(byte)),
        _ => {
            out.push_str(r"\u");
            for shift in [12, 8, 4, 0] {
                out.push(char::from(b"0123456789abcdef"[usize::from(unit >> shift & 0xf)]));
            }
        }
    }
}

#[cfg(test)]
mod tests;
