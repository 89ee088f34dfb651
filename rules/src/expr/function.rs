//! Functions that an expression may call.

use super::check::Type;

/// A function that an expression may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    LowerAscii,
    UpperAscii,
    Trim,
    Size,
    Int,
    Double,
    Text,
    Bool,
    Timestamp,
    Duration,
    Year,
    Month,
    DayOfMonth,
    DayOfWeek,
    Hours,
    Minutes,
    Seconds,
}

/// Form of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Called on a value: `text.f(...)`
    Member,
    /// Called with arguments: `f(...)`
    Global,
    /// Both of these forms.
    Either,
}

/// Declaration of a function.
pub(super) struct Declaration {
    pub(super) name: &'static str,
    pub(super) function: Function,
    pub(super) style: Style,
    /// Types of the arguments, the target first. [`Type::Any`]: checked when it runs.
    pub(super) arguments: &'static [Type],
    /// Number of arguments at the end that may be left out.
    pub(super) optional: usize,
    pub(super) result: Type,
}

const fn member(
    name: &'static str,
    function: Function,
    arguments: &'static [Type],
    result: Type,
) -> Declaration {
    Declaration { name, function, style: Style::Member, arguments, optional: 0, result }
}

const fn conversion(name: &'static str, function: Function, result: Type) -> Declaration {
    Declaration { name, function, style: Style::Global, arguments: &[Type::Any], optional: 0, result }
}

const fn clock(name: &'static str, function: Function) -> Declaration {
    let arguments = &[Type::Time, Type::Text];
    Declaration { name, function, style: Style::Member, arguments, optional: 1, result: Type::Number }
}

/// All functions; what is not here cannot be called.
pub(super) const FUNCTIONS: &[Declaration] = &[
    member("contains", Function::Contains, &[Type::Text, Type::Text], Type::Bool),
    member("startsWith", Function::StartsWith, &[Type::Text, Type::Text], Type::Bool),
    member("endsWith", Function::EndsWith, &[Type::Text, Type::Text], Type::Bool),
    member("matches", Function::Matches, &[Type::Text, Type::Text], Type::Bool),
    member("lowerAscii", Function::LowerAscii, &[Type::Text], Type::Text),
    member("upperAscii", Function::UpperAscii, &[Type::Text], Type::Text),
    member("trim", Function::Trim, &[Type::Text], Type::Text),
    Declaration {
        name: "size",
        function: Function::Size,
        style: Style::Either,
        arguments: &[Type::Any],
        optional: 0,
        result: Type::Number,
    },
    conversion("int", Function::Int, Type::Number),
    conversion("double", Function::Double, Type::Number),
    conversion("string", Function::Text, Type::Text),
    conversion("bool", Function::Bool, Type::Bool),
    conversion("timestamp", Function::Timestamp, Type::Time),
    conversion("duration", Function::Duration, Type::Span),
    clock("getFullYear", Function::Year),
    clock("getMonth", Function::Month),
    clock("getDate", Function::DayOfMonth),
    clock("getDayOfWeek", Function::DayOfWeek),
    clock("getHours", Function::Hours),
    clock("getMinutes", Function::Minutes),
    clock("getSeconds", Function::Seconds),
];

impl Function {
    /// Returns the name by which expressions call it.
    pub(crate) fn name(self) -> &'static str {
        FUNCTIONS.iter().find(|one| one.function == self).map_or("", |one| one.name)
    }

    /// Returns whether it reads a part of a timestamp.
    pub(super) fn is_clock(self) -> bool {
        matches!(
            self,
            Self::Year
                | Self::Month
                | Self::DayOfMonth
                | Self::DayOfWeek
                | Self::Hours
                | Self::Minutes
                | Self::Seconds
        )
    }
}
