//! The syntax tree of a checked expression: all names are resolved, all patterns and time zones are compiled.

use std::cmp::Ordering;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use regex::Regex;

use super::function::Function;
use super::literal::Literal;

/// An expression. Its depth is at most [`super::MAX_DEPTH`].
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Literal(Literal),
    Time(Timestamp),
    Span(SignedDuration),
    Body,
    Source,
    Received,
    Priority,
    /// The variable of the one comprehension that can surround a node.
    Item,
    /// A named value of a collection that is no value itself.
    Lookup(Lookup),
    /// True if the collection has this name.
    HasName(Lookup),
    Field(Box<Node>, String),
    HasField(Box<Node>, String),
    Index(Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    If(Box<[Node; 3]>),
    Equal {
        sides: Box<[Node; 2]>,
        negated: bool,
    },
    Compare(Order, Box<[Node; 2]>),
    Arithmetic(Arithmetic, Box<[Node; 2]>),
    /// The right side is a list literal.
    InList(Box<Node>, Vec<Node>),
    In(Box<Node>, Box<Node>),
    Any {
        range: Box<Node>,
        condition: Box<Node>,
    },
    All {
        range: Box<Node>,
        condition: Box<Node>,
    },
    /// `exists` or `all` over a list literal.
    AnyOf {
        items: Vec<Node>,
        condition: Box<Node>,
        all: bool,
    },
    Call(Function, Vec<Node>),
    Matches(Box<Node>, Pattern),
    /// A part of a timestamp in a time zone.
    Clock(Function, Box<Node>, TimeZone),
}

/// A value by name.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    pub(crate) root: Root,
    pub(crate) name: Box<Node>,
}

/// A collection of named values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    Headers,
    Query,
    Attributes,
    Labels,
}

/// A comparison by order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    pub(crate) fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// An operation on numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Arithmetic {
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

/// A compiled regular expression, with its cost for each byte that it reads.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(crate) regex: Regex,
    pub(crate) cost: u64,
}

/// Smallest size for which a pattern is tried, in bytes of its program.
const SMALLEST: usize = 8 << 10;
/// Maximum size of a pattern's program, in bytes.
const LARGEST: usize = 128 << 10;

impl Pattern {
    /// Compiles a pattern. Its program runs in time proportional to its size in the worst case, so its cost for each
    /// byte is its size, found to a power of two by trying: 1 up to 8 KiB, 16 at 128 KiB.
    pub(super) fn compile(pattern: &str) -> Result<Self, String> {
        let mut size = SMALLEST;
        loop {
            match regex::RegexBuilder::new(pattern).size_limit(size).build() {
                Ok(regex) => return Ok(Self { regex, cost: (size / SMALLEST) as u64 }),
                Err(regex::Error::CompiledTooBig(_)) if size < LARGEST => size *= 2,
                Err(regex::Error::CompiledTooBig(_)) => {
                    return Err(format!("pattern needs more than {} KiB: make it simpler", LARGEST >> 10));
                }
                Err(error) => return Err(reason(&error)),
            }
        }
    }
}

/// Returns the last line of an error, which has the reason; the lines before it draw the pattern.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    format!("pattern is not valid: {}", last.trim_start_matches("error: "))
}

impl Node {
    /// Returns its direct parts.
    pub(crate) fn children(&self) -> impl Iterator<Item = &Self> {
        let (one, many): (Vec<&Self>, &[Self]) = match self {
            Self::Literal(_)
            | Self::Time(_)
            | Self::Span(_)
            | Self::Body
            | Self::Source
            | Self::Received
            | Self::Priority
            | Self::Item => (vec![], &[]),
            Self::Lookup(lookup) | Self::HasName(lookup) => (vec![&lookup.name], &[]),
            Self::Field(operand, _)
            | Self::HasField(operand, _)
            | Self::Not(operand)
            | Self::Negate(operand)
            | Self::Matches(operand, _)
            | Self::Clock(_, operand, _) => (vec![operand], &[]),
            Self::Index(left, right)
            | Self::And(left, right)
            | Self::Or(left, right)
            | Self::In(left, right) => (vec![left, right], &[]),
            Self::Any { range, condition } | Self::All { range, condition } => (vec![range, condition], &[]),
            Self::AnyOf { items, condition, .. } => (vec![condition], items),
            Self::InList(value, items) => (vec![value], items),
            Self::If(parts) => (vec![], &parts[..]),
            Self::Equal { sides, .. } | Self::Compare(_, sides) | Self::Arithmetic(_, sides) => {
                (vec![], &sides[..])
            }
            Self::Call(_, arguments) => (vec![], arguments),
        };
        one.into_iter().chain(many)
    }
}
