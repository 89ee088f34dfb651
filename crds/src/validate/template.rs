//! Texts with names in braces.

/// A part of such a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Text outside of braces; never empty.
    Text(&'a str),
    /// Name of a value, in braces.
    Name(&'a str),
}

/// Returns the parts of a text, in their order.
pub(super) fn parts(template: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((text, from)) = rest.split_once('{') {
        let Some((name, tail)) = from.split_once('}') else { break };
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        parts.push(Part::Name(name));
        rest = tail;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}
