//! Fields, indexes and items of lists and maps.

use std::borrow::Cow;

use super::{Combined, EvalError, Evaluated, Scope, Stop};
use crate::budget::NODE;
use crate::expr::Node;
use crate::value::Value;
use crate::value::data::Data;

impl<'f> Scope<'f, '_> {
    /// Returns a field. A value that is no map has no field: the form of a body is the sender's choice.
    pub(super) fn field(&self, operand: &Value<'f>, name: &str) -> Evaluated<'f> {
        let Value::Data(Data::Map(map)) = operand else { return Err(Stop::Missing) };
        self.facts.budget.read(map.lookup_cost(name))?;
        map.get(name).map(Value::of).ok_or(Stop::Missing)
    }

    pub(super) fn index(&self, operand: &Value<'f>, index: &Value<'f>) -> Evaluated<'f> {
        match (operand, index) {
            (operand, Value::Text(name)) => self.field(operand, name),
            (Value::Data(Data::List(items)), Value::Int(at)) => {
                let at = usize::try_from(*at).map_err(|_| Stop::Missing)?;
                items.get(at).map(Value::of).ok_or(Stop::Missing)
            }
            (_, Value::Int(_)) => Err(Stop::Missing),
            (_, index) => Err(EvalError::Type { operation: "[]", found: index.type_name() }.into()),
        }
    }

    /// Returns whether a list literal holds a value. An item that is missing is not it.
    pub(super) fn in_list(
        &self,
        value: &Value<'f>,
        items: &'f [Node],
        item: Option<&Value<'f>>,
    ) -> Evaluated<'f> {
        let mut combined = Combined::new(true);
        for candidate in items {
            let is_it = self.node(candidate, item).and_then(|candidate| self.equal(value, &candidate));
            if combined.decides(is_it)? {
                return Ok(Value::Bool(true));
            }
        }
        combined.value()
    }

    /// Returns whether a list holds a value, or a map a name.
    pub(super) fn within(&self, value: &Value<'f>, range: &Value<'f>) -> Evaluated<'f> {
        match (range, value) {
            (Value::Data(Data::List(items)), _) => {
                for candidate in items {
                    self.facts.budget.charge(NODE)?;
                    if self.equal(value, &Value::of(candidate))? {
                        return Ok(Value::Bool(true));
                    }
                }
                Ok(Value::Bool(false))
            }
            (Value::Data(Data::Map(map)), Value::Text(name)) => {
                self.facts.budget.read(map.lookup_cost(name))?;
                Ok(Value::Bool(map.get(name).is_some()))
            }
            _ => {
                let (left, right) = (value.type_name(), range.type_name());
                Err(EvalError::Types { operation: "in", left, right }.into())
            }
        }
    }

    /// Evaluates `exists` (`decisive` is true) or `all` over the items of a list or the names of a map.
    pub(super) fn quantified(&self, range: Value<'f>, condition: &'f Node, decisive: bool) -> Evaluated<'f> {
        match range {
            Value::Data(Data::List(items)) => {
                self.over(items.iter().map(|one| Ok(Value::of(one))), condition, decisive)
            }
            Value::Data(Data::Map(map)) => {
                let names = map.keys().map(|name| Ok(Value::Text(Cow::Borrowed(name))));
                self.over(names, condition, decisive)
            }
            other => {
                let operation = if decisive { "exists" } else { "all" };
                Err(EvalError::Type { operation, found: other.type_name() }.into())
            }
        }
    }

    /// Evaluates `exists` or `all` over a list literal.
    pub(super) fn of_items(&self, items: &'f [Node], condition: &'f Node, decisive: bool) -> Evaluated<'f> {
        self.over(items.iter().map(|item| self.node(item, None)), condition, decisive)
    }

    fn over(
        &self,
        items: impl Iterator<Item = Evaluated<'f>>,
        condition: &'f Node,
        decisive: bool,
    ) -> Evaluated<'f> {
        let operation = if decisive { "exists" } else { "all" };
        let mut combined = Combined::new(decisive);
        for item in items {
            let holds = item.and_then(|item| self.boolean(condition, Some(&item), operation));
            if combined.decides(holds)? {
                return Ok(Value::Bool(decisive));
            }
        }
        combined.value()
    }
}
