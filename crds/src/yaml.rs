//! Reads YAML as the JSON that kubectl would send to an API server: by the same rules for scalars and merge keys,
//! with null as absent. Text that cannot be read as kubectl reads it is refused. The size of a document is limited:
//! aliases of aliases are short to write and endless to read.

mod scalar;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Value};

/// Approximate maximum memory of a document: ten times the size that etcd stores of a resource.
const MAX_BYTES: usize = 16 << 20;
/// Approximate memory of a value besides its text.
const VALUE: usize = 72;
/// Maximum depth of nested collections. The definitions need 20.
const MAX_DEPTH: usize = 100;

/// Reads the documents of a text that are not empty.
///
/// # Errors
/// The first part that cannot be read, with its line and column.
pub fn documents(text: &str) -> Result<Vec<Value>, String> {
    // A byte order mark says nothing in UTF-8.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), left: 0 };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(documents),
            (Event::DocumentStart(_), _) => {
                reader.anchors.clear();
                reader.left = MAX_BYTES;
                let event = reader.next()?;
                let document = reader.value(event, 0)?;
                documents.extend(Some(document).filter(|document| !document.is_null()));
            }
            _ => {}
        }
    }
}

type Positioned<'input> = (Event<'input>, Span);

struct Reader<'input> {
    parser: Parser<'input, StrInput<'input>>,
    /// Values with an anchor, by its number.
    anchors: HashMap<usize, Value>,
    /// Bytes that the document may still take.
    left: usize,
}

impl<'input> Reader<'input> {
    fn next(&mut self) -> Result<Positioned<'input>, String> {
        match self.parser.next_event() {
            Some(event) => event.map_err(|error: ScanError| at(error.marker(), error.info())),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn value(&mut self, (event, span): Positioned<'input>, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err(at(&span.start, "is nested too deeply"));
        }
        let (value, anchor) = match event {
            Event::Alias(anchor) => {
                let Some(value) = self.anchors.get(&anchor).cloned() else {
                    return Err(at(&span.start, "is an alias of what it is a part of"));
                };
                self.take(size(&value), &span)?;
                return Ok(value);
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.take(VALUE + text.len(), &span)?;
                (scalar(&text, style, tag.as_deref()).map_err(|reason| at(&span.start, &reason))?, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                known(tag.as_deref(), "seq").map_err(|reason| at(&span.start, &reason))?;
                self.take(VALUE, &span)?;
                (self.sequence(depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                known(tag.as_deref(), "map").map_err(|reason| at(&span.start, &reason))?;
                self.take(VALUE, &span)?;
                (self.mapping(depth)?, anchor)
            }
            _ => (Value::Null, 0),
        };
        if anchor > 0 {
            self.take(size(&value), &span)?;
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(items.into()),
                event => items.push(self.value(event, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, String> {
        let mut fields = Map::new();
        // A merged field may be given anew, and is then the later one.
        let mut given = HashSet::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd | Event::StreamEnd) {
                break;
            }
            let is_merge = is_merge(&event);
            let key = self.value((event, span), depth + 1)?;
            let event = self.next()?;
            let value = self.value(event, depth + 1)?;
            if is_merge {
                merge(&mut fields, value).map_err(|reason| at(&span.start, reason))?;
                continue;
            }
            let name = name(key).map_err(|reason| at(&span.start, &reason))?;
            if !given.insert(name.clone()) {
                return Err(at(&span.start, &format!("duplicate entry with key {name:?}")));
            }
            fields.insert(name, value);
        }
        fields.retain(|_, value| !value.is_null());
        Ok(fields.into())
    }

    fn take(&mut self, bytes: usize, span: &Span) -> Result<(), String> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| at(&span.start, "is too large"))?;
        Ok(())
    }
}

fn at(place: &Marker, reason: &str) -> String {
    format!("{reason} at line {} column {}", place.line(), place.col() + 1)
}

/// Returns the approximate memory of a value.
fn size(value: &Value) -> usize {
    VALUE
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(size).sum(),
            Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + size(value)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

fn is_merge(event: &Event<'_>) -> bool {
    let Event::Scalar(text, style, _, tag) = event else { return false };
    let is_tagged = tag.as_deref().is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "merge");
    *text == Cow::Borrowed("<<") && (is_tagged || (tag.is_none() && *style == ScalarStyle::Plain))
}

/// Adds the fields of one mapping, or of several, of which the first counts most.
fn merge(fields: &mut Map<String, Value>, value: Value) -> Result<(), &'static str> {
    const NEEDS_MAPS: &str = "a merge key (<<) needs a mapping, or a list of mappings";
    match value {
        Value::Object(merged) => fields.extend(merged),
        Value::Array(items) => {
            for item in items.into_iter().rev() {
                let Value::Object(merged) = item else { return Err(NEEDS_MAPS) };
                fields.extend(merged);
            }
        }
        _ => return Err(NEEDS_MAPS),
    }
    Ok(())
}

/// Returns the name of a field.
fn name(key: Value) -> Result<String, String> {
    match key {
        Value::String(name) => Ok(name),
        Value::Number(number) if number.is_i64() => Ok(number.to_string()),
        Value::Bool(said) => Err(format!("a key is the boolean {said}: put it in quotes")),
        _ => Err("a key must be a string".to_owned()),
    }
}

/// Checks that a collection's tag is the one it has anyway.
fn known(tag: Option<&Tag>, suffix: &str) -> Result<(), String> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == suffix) => Err(unknown(tag)),
        _ => Ok(()),
    }
}

fn unknown(tag: &Tag) -> String {
    format!("the tag {tag} is not known")
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let Some(tag) = tag else {
        if style == ScalarStyle::Plain {
            return Ok(scalar::plain(text)?);
        }
        return Ok(text.into());
    };
    if !tag.is_yaml_core_schema() {
        return Err(unknown(tag));
    }
    let fits = match &tag.suffix[..] {
        "str" | "timestamp" | "merge" => return Ok(text.into()),
        "bool" => Value::is_boolean,
        "int" => Value::is_i64,
        "float" => Value::is_number,
        "null" => Value::is_null,
        _ => return Err(unknown(tag)),
    };
    let value = scalar::plain(text)?;
    if fits(&value) { Ok(value) } else { Err(format!("{text:?} is no {}", tag.suffix)) }
}

#[cfg(test)]
mod tests;
