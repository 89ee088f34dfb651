//! Types, as far as they are known before an event comes.

use crate::expr::Wanted;
use crate::expr::literal::Literal;

/// Type of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::expr) enum Type {
    /// Known only with an event.
    Any,
    Null,
    Bool,
    Number,
    Text,
    /// Text that is one of the priorities.
    Priority,
    Time,
    Span,
}

impl Type {
    pub(super) fn of_literal(literal: &Literal) -> Self {
        match literal {
            Literal::Null => Self::Null,
            Literal::Bool(_) => Self::Bool,
            Literal::Int(_) | Literal::Double(_) => Self::Number,
            Literal::Text(_) => Self::Text,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Any => "any value",
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::Text | Self::Priority => "a string",
            Self::Time => "a timestamp",
            Self::Span => "a duration",
        }
    }

    /// Returns whether a value of this type can be of the other.
    pub(super) fn may_be(self, other: Self) -> bool {
        let plain = |one| if one == Self::Priority { Self::Text } else { one };
        let (one, other) = (plain(self), plain(other));
        one == other || one == Self::Any || other == Self::Any
    }

    pub(super) fn fits_wanted(self, wanted: Wanted) -> bool {
        match wanted {
            Wanted::Bool => self.may_be(Self::Bool),
            Wanted::Number => self.may_be(Self::Number),
            Wanted::Scalar => [Self::Text, Self::Number, Self::Bool].iter().any(|one| self.may_be(*one)),
        }
    }

    pub(super) fn of_wanted(wanted: Wanted) -> &'static str {
        match wanted {
            Wanted::Bool => "a boolean",
            Wanted::Number => "a number",
            Wanted::Scalar => "a string, a number or a boolean",
        }
    }
}
