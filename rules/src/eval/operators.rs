//! Equality, order and arithmetic. An operation on two numbers of which one is a double is done in doubles.

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::Timestamp;

use super::{EvalError, Evaluated, Scope, Stop};
use crate::budget::NODE;
use crate::expr::{Arithmetic, Literal};
use crate::value::Value;
use crate::value::data::Data;

pub(super) fn literal(literal: &Literal) -> Value<'_> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::Double(value) => Value::Double(*value),
        Literal::Text(text) => Value::Text(Cow::Borrowed(text)),
    }
}

pub(super) fn time_of_ms<'f>(ms: i64) -> Evaluated<'f> {
    let time = Timestamp::from_millisecond(ms).map_err(|_| EvalError::Range { operation: "timestamp" })?;
    Ok(Value::Time(time))
}

impl Scope<'_, '_> {
    /// Returns whether two values are equal. Values of different types are not; numbers are compared by value.
    pub(super) fn equal(&self, left: &Value<'_>, right: &Value<'_>) -> Result<bool, Stop> {
        Ok(match (left, right) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(one), Value::Bool(other)) => one == other,
            (Value::Text(one), Value::Text(other)) => self.equal_text(one, other)?,
            (Value::Time(one), Value::Time(other)) => one == other,
            (Value::Span(one), Value::Span(other)) => one == other,
            (Value::Data(one), Value::Data(other)) => self.equal_data(one, other)?,
            _ => matches!(numbers(left, right), Numbers::Ordered(Ordering::Equal)),
        })
    }

    fn equal_text(&self, one: &str, other: &str) -> Result<bool, Stop> {
        if one.len() != other.len() {
            return Ok(false);
        }
        self.facts.budget.read(one.len())?;
        Ok(one == other)
    }

    fn equal_data(&self, one: &Data<'_>, other: &Data<'_>) -> Result<bool, Stop> {
        self.facts.budget.charge(NODE)?;
        match (one, other) {
            (Data::List(one), Data::List(other)) => {
                if one.len() != other.len() {
                    return Ok(false);
                }
                for (one, other) in one.iter().zip(other) {
                    if !self.equal_data(one, other)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Data::Map(one), Data::Map(other)) => {
                if one.entries().len() != other.entries().len() {
                    return Ok(false);
                }
                for ((name, one), (other_name, other)) in one.entries().iter().zip(other.entries()) {
                    if !self.equal_text(name, other_name)? || !self.equal_data(one, other)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Data::List(_) | Data::Map(_), _) | (_, Data::List(_) | Data::Map(_)) => Ok(false),
            _ => self.equal(&Value::of(one), &Value::of(other)),
        }
    }

    /// Returns the order of two values, `None` if one is not a number in the sense of IEEE 754.
    pub(super) fn compare(&self, left: &Value<'_>, right: &Value<'_>) -> Result<Option<Ordering>, Stop> {
        Ok(match (left, right) {
            (Value::Text(one), Value::Text(other)) => {
                self.facts.budget.read(one.len().min(other.len()))?;
                Some(one.cmp(other))
            }
            (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
            (Value::Time(one), Value::Time(other)) => Some(one.cmp(other)),
            (Value::Span(one), Value::Span(other)) => Some(one.cmp(other)),
            _ => match numbers(left, right) {
                Numbers::Ordered(ordering) => Some(ordering),
                Numbers::Unordered => None,
                Numbers::Not => return Err(types("comparison", left, right).into()),
            },
        })
    }
}

/// Two values, compared as numbers.
enum Numbers {
    Ordered(Ordering),
    /// One is not a number in the sense of IEEE 754.
    Unordered,
    /// One is of another type.
    Not,
}

#[expect(clippy::cast_precision_loss, reason = "numbers beyond 2^53 are compared as their doubles")]
fn numbers(left: &Value<'_>, right: &Value<'_>) -> Numbers {
    let ordering = match (left, right) {
        (Value::Int(one), Value::Int(other)) => Some(one.cmp(other)),
        (Value::Int(one), Value::Double(other)) => (*one as f64).partial_cmp(other),
        (Value::Double(one), Value::Int(other)) => one.partial_cmp(&(*other as f64)),
        (Value::Double(one), Value::Double(other)) => one.partial_cmp(other),
        _ => return Numbers::Not,
    };
    ordering.map_or(Numbers::Unordered, Numbers::Ordered)
}

fn types(operation: &'static str, left: &Value<'_>, right: &Value<'_>) -> EvalError {
    EvalError::Types { operation, left: left.type_name(), right: right.type_name() }
}

pub(super) fn negate<'f>(operand: &Value<'_>) -> Evaluated<'f> {
    Ok(match operand {
        Value::Int(value) => Value::Int(value.checked_neg().ok_or(EvalError::Range { operation: "-" })?),
        Value::Double(value) => Value::Double(-value),
        other => return Err(EvalError::Type { operation: "-", found: other.type_name() }.into()),
    })
}

/// Evaluates an operation on numbers, timestamps and durations.
#[expect(clippy::cast_precision_loss, reason = "an operation with a double is one of doubles")]
pub(super) fn arithmetic<'f>(operation: Arithmetic, left: &Value<'_>, right: &Value<'_>) -> Evaluated<'f> {
    let range = EvalError::Range { operation: operation.sign() };
    let value = match (left, right) {
        (Value::Int(one), Value::Int(other)) => integers(operation, *one, *other).map(Value::Int),
        (Value::Int(one), Value::Double(other)) => doubles(operation, *one as f64, *other).map(Value::Double),
        (Value::Double(one), Value::Int(other)) => doubles(operation, *one, *other as f64).map(Value::Double),
        (Value::Double(one), Value::Double(other)) => doubles(operation, *one, *other).map(Value::Double),
        (Value::Time(time), Value::Span(span)) => match operation {
            Arithmetic::Add => time.checked_add(*span).ok().map(Value::Time),
            Arithmetic::Subtract => time.checked_sub(*span).ok().map(Value::Time),
            _ => return Err(types(operation.sign(), left, right).into()),
        },
        (Value::Span(span), Value::Time(time)) if operation == Arithmetic::Add => {
            time.checked_add(*span).ok().map(Value::Time)
        }
        (Value::Time(one), Value::Time(other)) if operation == Arithmetic::Subtract => {
            Some(Value::Span(one.duration_since(*other)))
        }
        (Value::Span(one), Value::Span(other)) => match operation {
            Arithmetic::Add => one.checked_add(*other).map(Value::Span),
            Arithmetic::Subtract => one.checked_sub(*other).map(Value::Span),
            _ => return Err(types(operation.sign(), left, right).into()),
        },
        _ => return Err(types(operation.sign(), left, right).into()),
    };
    value.ok_or_else(|| range.into())
}

fn integers(operation: Arithmetic, one: i64, other: i64) -> Option<i64> {
    match operation {
        Arithmetic::Add => one.checked_add(other),
        Arithmetic::Subtract => one.checked_sub(other),
        Arithmetic::Multiply => one.checked_mul(other),
        Arithmetic::Divide => one.checked_div(other),
        Arithmetic::Remainder => one.checked_rem(other),
    }
}

/// Follows IEEE 754. CEL has no remainder of doubles, and a division by zero is no infinity that a score could use.
fn doubles(operation: Arithmetic, one: f64, other: f64) -> Option<f64> {
    match operation {
        Arithmetic::Add => Some(one + other),
        Arithmetic::Subtract => Some(one - other),
        Arithmetic::Multiply => Some(one * other),
        Arithmetic::Divide => Some(one / other),
        Arithmetic::Remainder => None,
    }
}
