//! Rules by `field == 'constant'`: a rule with such a conjunct is not evaluated for an event whose field has another
//! value. Most rules are about one kind of event, so most are skipped by comparing two numbers.
//!
//! Skipping changes nothing but the cost: a conjunction with a side that is false or missing is no match and no error,
//! whatever its other sides are.

use std::collections::HashMap;

use crate::eval::{Scope, Stop};
use crate::expr::{Literal, Node, Root};
use crate::value::Value;

/// The value that a rule needs: number of the field, and number of the constant.
pub(crate) type Key = (usize, u32);

/// The fields that rules compare with constants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    fields: Vec<Field>,
    keys: Vec<Option<Key>>,
}

#[derive(Clone, Debug)]
struct Field {
    node: Node,
    constants: HashMap<String, u32>,
}

impl Index {
    /// Builds the index of conditions, one for each rule.
    pub(crate) fn build<'a>(conditions: impl Iterator<Item = Option<&'a Node>>) -> Self {
        let mut index = Self::default();
        let mut numbers = HashMap::new();
        for condition in conditions {
            let found = condition.and_then(|node| conjunct(node));
            let key = found.map(|(name, field, constant)| {
                let number = *numbers.entry(name).or_insert_with(|| {
                    index.fields.push(Field { node: field.clone(), constants: HashMap::new() });
                    index.fields.len() - 1
                });
                let constants = &mut index.fields[number].constants;
                let next = u32::try_from(constants.len()).unwrap_or(u32::MAX);
                (number, *constants.entry(constant.to_owned()).or_insert(next))
            });
            index.keys.push(key);
        }
        index
    }

    /// Returns the value that a rule needs; `None`: it has to be evaluated for every event.
    pub(crate) fn key(&self, rule: usize) -> Option<Key> {
        self.keys.get(rule).copied().flatten()
    }
}

/// The values of one event's fields, each read at most once.
pub(crate) struct Probes<'r> {
    index: &'r Index,
    values: Vec<Option<Probe>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Probe {
    Constant(u32),
    /// Missing, or a value that no rule names.
    Other,
    /// It could not be read: every rule has to say so itself.
    Unknown,
}

impl<'r> Probes<'r> {
    pub(crate) fn new(index: &'r Index) -> Self {
        Self { index, values: vec![None; index.fields.len()] }
    }

    /// Returns whether a rule that needs this value can match.
    pub(crate) fn may_match(&mut self, (number, constant): Key, scope: &Scope<'r, '_>) -> bool {
        let Some((field, value)) = self.index.fields.get(number).zip(self.values.get_mut(number)) else {
            return true;
        };
        let probe = *value.get_or_insert_with(|| match scope.value(&field.node) {
            Ok(Value::Text(text)) => {
                field.constants.get(&*text).map_or(Probe::Other, |one| Probe::Constant(*one))
            }
            Ok(_) | Err(Stop::Missing) => Probe::Other,
            Err(_) => Probe::Unknown,
        });
        probe == Probe::Constant(constant) || probe == Probe::Unknown
    }
}

/// Finds a conjunct `field == 'constant'`: the field's name, its node, and the constant. A field of the event comes
/// before its source, which says less.
fn conjunct(node: &Node) -> Option<(String, &Node, &str)> {
    match node {
        Node::And(left, right) => {
            let (left, right) = (conjunct(left), conjunct(right));
            let says_little = |found: &(String, &Node, &str)| matches!(found.1, Node::Source);
            if left.as_ref().is_some_and(|found| !says_little(found)) { left } else { right.or(left) }
        }
        Node::Equal { sides, negated: false } => match &**sides {
            [field, Node::Literal(Literal::Text(constant))]
            | [Node::Literal(Literal::Text(constant)), field] => Some((name(field)?, field, constant)),
            _ => None,
        },
        _ => None,
    }
}

/// Returns a name for a field that stays the same while rules run, so neither for the priority nor for a label.
fn name(node: &Node) -> Option<String> {
    Some(match node {
        Node::Body => "body".to_owned(),
        Node::Source => "source".to_owned(),
        Node::Field(operand, field) => format!("{}\0{field}", name(operand)?),
        Node::Lookup(lookup) => match (lookup.root, &*lookup.name) {
            (Root::Labels, _) => return None,
            (root, Node::Literal(Literal::Text(field))) => format!("{root:?}\0{field}"),
            _ => return None,
        },
        _ => return None,
    })
}
