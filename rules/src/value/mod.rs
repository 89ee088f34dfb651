//! Values: of the body ([`data`]), and of expressions ([`Value`]).

pub(crate) mod body;
pub(crate) mod data;
mod json;
mod xml;

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

use data::Data;

/// The value of an expression. Text is borrowed from the event where it can be.
#[derive(Clone, Debug)]
pub(crate) enum Value<'f> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Cow<'f, str>),
    Time(Timestamp),
    Span(SignedDuration),
    /// A list or map of the body; never a scalar, see [`Value::of`].
    Data(&'f Data<'f>),
}

impl<'f> Value<'f> {
    /// Returns a value of the body: scalars by value, lists and maps by reference.
    pub(crate) fn of(data: &'f Data<'f>) -> Self {
        match data {
            Data::Null => Self::Null,
            Data::Bool(value) => Self::Bool(*value),
            Data::Int(value) => Self::Int(*value),
            Data::Double(value) => Self::Double(*value),
            Data::Text(text) => Self::Text(Cow::Borrowed(text)),
            Data::List(_) | Data::Map(_) => Self::Data(data),
        }
    }

    /// Returns the name of its type, as errors show it. Errors never show a value: it may be confidential.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Time(_) => "timestamp",
            Self::Span(_) => "duration",
            Self::Data(Data::Map(_)) => "map",
            Self::Data(_) => "list",
        }
    }
}
