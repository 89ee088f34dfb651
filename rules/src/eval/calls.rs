//! Functions. Each charges the bytes that it reads before it reads them.

use std::borrow::Cow;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{EvalError, Evaluated, Scope, Stop};
use crate::expr::{Function, Node, Pattern};
use crate::value::Value;
use crate::value::data::Data;

impl<'f> Scope<'f, '_> {
    pub(super) fn call(
        &self,
        function: Function,
        arguments: &'f [Node],
        item: Option<&Value<'f>>,
    ) -> Evaluated<'f> {
        let value = |at: usize| match arguments.get(at) {
            Some(node) => self.node(node, item),
            None => Err(Stop::Missing),
        };
        let first = value(0)?;
        let wrong = || EvalError::Type { operation: function.name(), found: first.type_name() };
        if let Value::Text(text) = &first {
            self.facts.budget.read(text.len())?;
        }
        match function {
            Function::Contains | Function::StartsWith | Function::EndsWith => {
                let (Value::Text(text), Value::Text(part)) = (&first, &value(1)?) else {
                    let right = value(1)?.type_name();
                    let left = first.type_name();
                    return Err(EvalError::Types { operation: function.name(), left, right }.into());
                };
                self.facts.budget.read(part.len())?;
                Ok(Value::Bool(match function {
                    Function::StartsWith => text.starts_with(&**part),
                    Function::EndsWith => text.ends_with(&**part),
                    _ => text.contains(&**part),
                }))
            }
            Function::LowerAscii | Function::UpperAscii | Function::Trim => {
                let Value::Text(text) = first else { return Err(wrong().into()) };
                Ok(Value::Text(match function {
                    Function::LowerAscii => Cow::Owned(text.to_ascii_lowercase()),
                    Function::UpperAscii => Cow::Owned(text.to_ascii_uppercase()),
                    _ => trimmed(text),
                }))
            }
            Function::Size => {
                let size = match &first {
                    Value::Text(text) => text.chars().count(),
                    Value::Data(Data::List(items)) => items.len(),
                    Value::Data(Data::Map(map)) => map.entries().len(),
                    _ => return Err(wrong().into()),
                };
                Ok(Value::Int(i64::try_from(size).map_err(|_| EvalError::Range { operation: "size" })?))
            }
            _ => converted(function, first),
        }
    }

    pub(super) fn matches(&self, text: &Value<'f>, pattern: &Pattern) -> Evaluated<'f> {
        let Value::Text(text) = text else {
            return Err(EvalError::Type { operation: "matches", found: text.type_name() }.into());
        };
        self.facts.budget.charge(pattern.cost.saturating_mul(text.len() as u64))?;
        Ok(Value::Bool(pattern.regex.is_match(text)))
    }
}

fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

/// Converts a value to another type.
#[expect(clippy::cast_precision_loss, reason = "double() of a large whole number is the nearest double")]
fn converted(function: Function, value: Value<'_>) -> Evaluated<'_> {
    let operation = function.name();
    let form = EvalError::Form { function: operation };
    let found = value.type_name();
    Ok(match (function, value) {
        (Function::Int, Value::Int(value)) => Value::Int(value),
        (Function::Int, Value::Double(value)) => {
            Value::Int(whole(value).ok_or(EvalError::Range { operation })?)
        }
        (Function::Int, Value::Text(text)) => Value::Int(text.parse().map_err(|_| form)?),
        (Function::Int, Value::Time(time)) => Value::Int(time.as_second()),
        (Function::Double, Value::Int(value)) => Value::Double(value as f64),
        (Function::Double, Value::Double(value)) => Value::Double(value),
        (Function::Double, Value::Text(text)) => Value::Double(text.parse().map_err(|_| form)?),
        (Function::Text, Value::Text(text)) => Value::Text(text),
        (Function::Text, value) => {
            Value::Text(text(&value).ok_or(EvalError::Type { operation, found })?.into())
        }
        (Function::Bool, Value::Bool(value)) => Value::Bool(value),
        (Function::Bool, Value::Text(text)) => Value::Bool(match &*text {
            "true" => true,
            "false" => false,
            _ => return Err(form.into()),
        }),
        (Function::Timestamp, Value::Time(time)) => Value::Time(time),
        (Function::Timestamp, Value::Int(seconds)) => {
            Value::Time(Timestamp::from_second(seconds).map_err(|_| EvalError::Range { operation })?)
        }
        (Function::Timestamp, Value::Text(text)) => Value::Time(text.parse().map_err(|_| form)?),
        (Function::Duration, Value::Span(span)) => Value::Span(span),
        (Function::Duration, Value::Text(text)) => {
            Value::Span(text.parse::<SignedDuration>().map_err(|_| form)?)
        }
        _ => return Err(EvalError::Type { operation, found }.into()),
    })
}

/// Returns a scalar as text; `None` for a list or map, whose text could be as long as the body.
pub(crate) fn text(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Double(value) => value.to_string(),
        Value::Text(text) => text.clone().into_owned(),
        Value::Time(time) => time.to_string(),
        Value::Span(span) => format!("{}s", span.as_secs_f64()),
        Value::Data(_) => return None,
    })
}

/// Returns a double without its fraction, if a whole number of 64 bits can hold it.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked before")]
fn whole(value: f64) -> Option<i64> {
    // -2^63 is a double; 2^63 is the first one that does not fit.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (-LIMIT..LIMIT).contains(&value).then_some(value as i64)
}

/// Returns a part of a timestamp in a time zone, numbered as in CEL: months and days of the week from 0 (January,
/// Sunday), days of the month from 1.
pub(super) fn clock<'f>(function: Function, time: &Value<'_>, zone: &TimeZone) -> Evaluated<'f> {
    let Value::Time(time) = time else {
        return Err(EvalError::Type { operation: function.name(), found: time.type_name() }.into());
    };
    let local = zone.to_datetime(*time);
    Ok(Value::Int(match function {
        Function::Year => local.year().into(),
        Function::Month => i64::from(local.month()) - 1,
        Function::DayOfMonth => local.day().into(),
        Function::DayOfWeek => local.weekday().to_sunday_zero_offset().into(),
        Function::Hours => local.hour().into(),
        Function::Minutes => local.minute().into(),
        _ => local.second().into(),
    }))
}
