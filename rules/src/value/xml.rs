//! XML as [`Data`]: an element with neither attributes nor elements in it is its text; any other is a map of its
//! child elements by local name (a list where a name repeats), its attributes as `@name`, and its text as `#text`.

use std::borrow::Cow;

use roxmltree::{Document, Node, ParsingOptions};

use super::data::{Data, Map};

/// Maximum number of elements, texts and comments.
const MAX_NODES: u32 = 100_000;
/// Maximum depth of elements, as of JSON.
const MAX_DEPTH: usize = 128;

/// Returns a map with the root element, or `None` if it is not XML. A document type is refused: it could define
/// entities that expand.
pub(super) fn parse(text: &str) -> Option<Data<'static>> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).ok()?;
    let root = document.root_element();
    let value = element(root, MAX_DEPTH)?;
    Some(Data::Map(Map::new(vec![(name(root), value)])))
}

fn element(node: Node<'_, '_>, depth: usize) -> Option<Data<'static>> {
    let depth = depth.checked_sub(1)?;
    let mut text = String::new();
    let mut children: Vec<(Cow<'static, str>, Data<'static>)> = Vec::new();
    for child in node.children() {
        if child.is_element() {
            children.push((name(child), element(child, depth)?));
        } else if child.is_text() {
            text.push_str(child.text().unwrap_or_default());
        }
    }
    if children.is_empty() && node.attributes().len() == 0 {
        return Some(Data::Text(text.into()));
    }
    let mut fields = grouped(children);
    for attribute in node.attributes() {
        let value = Data::Text(attribute.value().to_owned().into());
        fields.push((format!("@{}", attribute.name()).into(), value));
    }
    let text = text.trim();
    if !text.is_empty() {
        fields.push(("#text".into(), Data::Text(text.to_owned().into())));
    }
    Some(Data::Map(Map::new(fields)))
}

/// Makes a list of children with the same name, in their order.
fn grouped(mut children: Vec<(Cow<'static, str>, Data<'static>)>) -> Vec<(Cow<'static, str>, Data<'static>)> {
    children.sort_by(|one, other| one.0.cmp(&other.0));
    let mut fields: Vec<(Cow<'static, str>, Data<'static>)> = Vec::new();
    let mut children = children.into_iter().peekable();
    while let Some((name, value)) = children.next() {
        let mut values = vec![value];
        while let Some((_, repeated)) = children.next_if(|(next, _)| *next == name) {
            values.push(repeated);
        }
        let value = if values.len() == 1 { values.swap_remove(0) } else { Data::List(values) };
        fields.push((name, value));
    }
    fields
}

fn name(node: Node<'_, '_>) -> Cow<'static, str> {
    node.tag_name().name().to_owned().into()
}
