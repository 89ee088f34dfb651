//! The values of a parsed body.

use std::borrow::Cow;

/// A value of a body. Text is borrowed from the body where it holds no escapes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data<'a> {
    Null,
    Bool(bool),
    /// A whole number of 64 bits with a sign. Larger ones are doubles.
    Int(i64),
    Double(f64),
    Text(Cow<'a, str>),
    List(Vec<Data<'a>>),
    Map(Map<'a>),
}

/// Fields of a map, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Map<'a>(Vec<(Cow<'a, str>, Data<'a>)>);

impl<'a> Map<'a> {
    /// Sorts fields. Of several with one name the last stays, as in most readers of JSON.
    pub(crate) fn new(mut fields: Vec<(Cow<'a, str>, Data<'a>)>) -> Self {
        fields.sort_by(|one, other| one.0.cmp(&other.0));
        fields.dedup_by(|later, earlier| {
            let repeats = later.0 == earlier.0;
            if repeats {
                std::mem::swap(&mut later.1, &mut earlier.1);
            }
            repeats
        });
        Self(fields)
    }

    /// Returns a field by its name.
    pub(crate) fn get(&self, name: &str) -> Option<&Data<'a>> {
        let at = self.0.binary_search_by(|(key, _)| (**key).cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Returns the names of all fields, sorted.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| &**key)
    }

    /// Returns the values in the order of their names.
    pub(crate) fn entries(&self) -> &[(Cow<'a, str>, Data<'a>)] {
        &self.0
    }

    /// Returns an upper bound of the bytes that a look-up compares: a name is compared once per halving.
    pub(crate) fn lookup_cost(&self, name: &str) -> usize {
        (name.len() + 1) * (usize::BITS - self.0.len().leading_zeros()) as usize
    }
}
