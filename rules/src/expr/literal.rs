//! Constants that expressions contain.

use cel::common::ast::LiteralValue;

/// A constant of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
}

impl Literal {
    /// Returns a literal of the parser, or `None` for types that no rule has a use for.
    pub(super) fn of(value: &LiteralValue) -> Option<Self> {
        Some(match value {
            LiteralValue::Null => Self::Null,
            LiteralValue::Boolean(value) => Self::Bool(*value.inner()),
            LiteralValue::Int(value) => Self::Int(*value.inner()),
            LiteralValue::Double(value) => Self::Double(*value.inner()),
            LiteralValue::String(value) => Self::Text(value.inner().to_owned()),
            LiteralValue::Bytes(_) | LiteralValue::UInt(_) => return None,
        })
    }
}
