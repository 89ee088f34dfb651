//! The value of an expression for one event.
//!
//! Three things can happen instead of a value: a field is missing, an operation is not possible, or the budget is
//! spent. In `&&` a false side decides, in `||` a true one, and in `exists` and `all` likewise. Otherwise a missing
//! field decides over an error, whatever the order of the sides, so that a rule whose field is missing is never an
//! error.

mod calls;
mod operators;
mod walk;

use std::borrow::Cow;

use crate::budget::{Exhausted, NODE};
use crate::event::Facts;
use crate::expr::{Lookup, Node, Root};
use crate::priority::Priority;
use crate::value::Value;

pub(crate) use calls::text;

/// An operation that is not possible with the values of an event. It names types and never a value, which may be
/// confidential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The value has a type that the operation does not take.
    #[error("{operation} cannot be applied to {found}")]
    Type {
        /// Name of the operator or function.
        operation: &'static str,
        /// Type of the value.
        found: &'static str,
    },
    /// Two values have types that the operation does not take together.
    #[error("{operation} cannot be applied to {left} and {right}")]
    Types {
        /// Name of the operator or function.
        operation: &'static str,
        /// Type of the left value.
        left: &'static str,
        /// Type of the right value.
        right: &'static str,
    },
    /// A conversion of a text that has another form.
    #[error("{function} was given a string of another form")]
    Form {
        /// Name of the conversion function.
        function: &'static str,
    },
    /// A number or time beyond its range, or a division by zero.
    #[error("result of {operation} is out of range")]
    Range {
        /// Name of the operator or function.
        operation: &'static str,
    },
    /// The event cost [`crate::budget::LIMIT`] already.
    #[error("event costs too much to evaluate: it is too large for so many rules")]
    Budget,
}

/// Reason for which an expression has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Missing,
    Error(EvalError),
    /// Decides over everything: after it nothing is evaluated.
    Exhausted,
}

impl From<Exhausted> for Stop {
    fn from(_: Exhausted) -> Self {
        Self::Exhausted
    }
}

impl From<EvalError> for Stop {
    fn from(error: EvalError) -> Self {
        Self::Error(error)
    }
}

pub(crate) type Evaluated<'f> = Result<Value<'f>, Stop>;

/// Everything that an expression can read: the event, and what rules before it set.
pub(crate) struct Scope<'f, 'a> {
    pub(crate) facts: &'f Facts<'a>,
    pub(crate) priority: Priority,
    pub(crate) labels: &'f [(String, String)],
}

impl<'f> Scope<'f, '_> {
    /// Evaluates a condition to true or false.
    pub(crate) fn condition(&self, node: &'f Node) -> Result<bool, Stop> {
        self.boolean(node, None, "condition")
    }

    /// Evaluates an expression of any type.
    pub(crate) fn value(&self, node: &'f Node) -> Evaluated<'f> {
        self.node(node, None)
    }

    fn node(&self, node: &'f Node, item: Option<&Value<'f>>) -> Evaluated<'f> {
        self.facts.budget.charge(NODE)?;
        Ok(match node {
            Node::Literal(literal) => operators::literal(literal),
            Node::Time(time) => Value::Time(*time),
            Node::Span(span) => Value::Span(*span),
            Node::Body => Value::of(self.facts.body()?.data.as_ref().ok_or(Stop::Missing)?),
            Node::Source => Value::Text(Cow::Borrowed(self.facts.event.source)),
            Node::Received => operators::time_of_ms(self.facts.event.received_at_ms)?,
            Node::Priority => Value::Text(Cow::Borrowed(self.priority.name())),
            Node::Item => item.cloned().ok_or(Stop::Missing)?,
            Node::Lookup(lookup) => self.lookup(lookup, item)?.ok_or(Stop::Missing)?,
            Node::HasName(lookup) => Value::Bool(self.lookup(lookup, item)?.is_some()),
            Node::Field(operand, name) => self.field(&self.node(operand, item)?, name)?,
            Node::HasField(operand, name) => match self.node(operand, item) {
                Ok(operand) => match self.field(&operand, name) {
                    Err(Stop::Missing) => Value::Bool(false),
                    found => Value::Bool(found.map(|_| true)?),
                },
                Err(Stop::Missing) => Value::Bool(false),
                Err(stop) => return Err(stop),
            },
            Node::Index(operand, index) => {
                self.index(&self.node(operand, item)?, &self.node(index, item)?)?
            }
            Node::And(left, right) => self.both(left, right, item, false)?,
            Node::Or(left, right) => self.both(left, right, item, true)?,
            Node::Not(operand) => Value::Bool(!self.boolean(operand, item, "!")?),
            Node::Negate(operand) => operators::negate(&self.node(operand, item)?)?,
            Node::If(parts) => {
                let [condition, yes, no] = &**parts;
                let branch = if self.boolean(condition, item, "?")? { yes } else { no };
                self.node(branch, item)?
            }
            Node::Equal { sides, negated } => {
                let [left, right] = &**sides;
                let (left, right) = (self.node(left, item)?, self.node(right, item)?);
                Value::Bool(self.equal(&left, &right)? != *negated)
            }
            Node::Compare(order, sides) => {
                let [left, right] = &**sides;
                let (left, right) = (self.node(left, item)?, self.node(right, item)?);
                Value::Bool(self.compare(&left, &right)?.is_some_and(|ordering| order.holds(ordering)))
            }
            Node::Arithmetic(operation, sides) => {
                let [left, right] = &**sides;
                operators::arithmetic(*operation, &self.node(left, item)?, &self.node(right, item)?)?
            }
            Node::InList(value, items) => self.in_list(&self.node(value, item)?, items, item)?,
            Node::In(value, range) => self.within(&self.node(value, item)?, &self.node(range, item)?)?,
            Node::Any { range, condition } => self.quantified(self.node(range, item)?, condition, true)?,
            Node::All { range, condition } => self.quantified(self.node(range, item)?, condition, false)?,
            Node::AnyOf { items, condition, all } => self.of_items(items, condition, !all)?,
            Node::Call(function, arguments) => self.call(*function, arguments, item)?,
            Node::Matches(text, pattern) => self.matches(&self.node(text, item)?, pattern)?,
            Node::Clock(function, time, zone) => calls::clock(*function, &self.node(time, item)?, zone)?,
        })
    }

    fn boolean(
        &self,
        node: &'f Node,
        item: Option<&Value<'f>>,
        operation: &'static str,
    ) -> Result<bool, Stop> {
        match self.node(node, item)? {
            Value::Bool(value) => Ok(value),
            other => Err(EvalError::Type { operation, found: other.type_name() }.into()),
        }
    }

    /// Evaluates `&&` or `||`, of which `decisive` is the side that decides.
    fn both(
        &self,
        left: &'f Node,
        right: &'f Node,
        item: Option<&Value<'f>>,
        decisive: bool,
    ) -> Evaluated<'f> {
        let operation = if decisive { "||" } else { "&&" };
        let mut combined = Combined::new(decisive);
        if combined.decides(self.boolean(left, item, operation))?
            || combined.decides(self.boolean(right, item, operation))?
        {
            return Ok(Value::Bool(decisive));
        }
        combined.value()
    }

    fn lookup(&self, lookup: &'f Lookup, item: Option<&Value<'f>>) -> Result<Option<Value<'f>>, Stop> {
        let name = self.node(&lookup.name, item)?;
        let Value::Text(name) = name else {
            return Err(EvalError::Type { operation: "[]", found: name.type_name() }.into());
        };
        let attributes = &self.facts.event.attributes;
        let text = |text: Option<&'f str>| text.map(|text| Value::Text(Cow::Borrowed(text)));
        Ok(match lookup.root {
            Root::Headers => self.facts.header(&name)?.map(Value::Text),
            Root::Query => text(self.facts.query(&name)?),
            Root::Labels => {
                self.facts.budget.read(self.labels.len() * name.len())?;
                text(self.labels.iter().find(|(key, _)| **key == *name).map(|(_, value)| &**value))
            }
            Root::Attributes => match &*name {
                "type" => text(attributes.kind),
                "id" => text(attributes.id),
                "source" => text(attributes.origin),
                "time" => attributes.time_ms.map(operators::time_of_ms).transpose()?,
                _ => None,
            },
        })
    }
}

/// Truth of several conditions, of which one value decides.
struct Combined {
    decisive: bool,
    stop: Option<Stop>,
}

impl Combined {
    fn new(decisive: bool) -> Self {
        Self { decisive, stop: None }
    }

    /// Adds a condition; returns whether it decides.
    fn decides(&mut self, condition: Result<bool, Stop>) -> Result<bool, Stop> {
        match condition {
            Ok(value) => return Ok(value == self.decisive),
            Err(Stop::Exhausted) => return Err(Stop::Exhausted),
            Err(Stop::Missing) => self.stop = Some(Stop::Missing),
            Err(error) => self.stop = self.stop.or(Some(error)),
        }
        Ok(false)
    }

    /// Returns the truth when no condition decided.
    fn value<'f>(self) -> Evaluated<'f> {
        match self.stop {
            Some(stop) => Err(stop),
            None => Ok(Value::Bool(!self.decisive)),
        }
    }
}

#[cfg(test)]
mod tests;
