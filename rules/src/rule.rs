//! Rules: what they set on an event, and which events they are for.

mod compile;
mod index;
mod selector;

use std::fmt;

use crate::expr::{CompileError, Expression};
use crate::priority::Priority;

pub use selector::{OnError, Selector};

pub(crate) use index::{Index, Probes};

/// Maximum number of rules.
pub const MAX_RULES: usize = 128;
/// Maximum number of labels that a rule sets.
pub const MAX_LABELS: usize = 16;
/// Maximum bytes of a label's value. A longer one is an error of the rule.
pub const MAX_LABEL_BYTES: usize = 256;
/// Maximum number of thresholds of a score.
pub const MAX_THRESHOLDS: usize = 16;

/// A rule as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSpec {
    /// Name, unique among the rules.
    pub name: String,
    /// Sources whose events it is for; empty: all.
    pub from: Vec<String>,
    /// Condition; `None`: every event.
    pub when: Option<String>,
    /// Drops the event: no destination gets it, and no later rule is looked at.
    pub drop: bool,
    /// Sets this priority on the event.
    pub priority: Option<Priority>,
    /// Sets the priority by a number.
    pub score: Option<ScoreSpec>,
    /// Labels to set: names, and expressions for their values.
    pub labels: Vec<(String, String)>,
    /// Ends the rules: no later rule is looked at.
    pub stop: bool,
}

/// A score as written.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreSpec {
    /// Expression for a number.
    pub value: String,
    /// Priorities by the least number for them. The largest that is reached holds; none: the priority stays.
    pub thresholds: Vec<Threshold>,
}

/// A priority for scores from a number on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// Least score for the priority.
    pub at_least: i64,
    /// The priority that is set.
    pub priority: Priority,
}

/// Compiled rules. Two are equal if what was written is.
#[derive(Clone, Default)]
pub struct Rules {
    specs: Vec<RuleSpec>,
    pub(crate) compiled: Vec<Rule>,
    pub(crate) index: Index,
    labels: Vec<String>,
}

impl Rules {
    /// Compiles rules. `sources` are the names that `from` may hold.
    ///
    /// # Errors
    /// Every mistake, in the order of the rules.
    pub fn compile(specs: Vec<RuleSpec>, sources: &[String]) -> Result<Self, Vec<Problem>> {
        let labels = compile::label_names(&specs);
        let compiled = compile::rules(&specs, sources, &labels)?;
        let index = Index::build(compiled.iter().map(|rule| rule.when.as_ref().map(|when| &when.node)));
        Ok(Self { specs, compiled, index, labels })
    }

    /// Returns what was written, in its order: rule numbers in a [`crate::Decision`] count from 0 in it.
    pub fn specs(&self) -> &[RuleSpec] {
        &self.specs
    }

    /// Returns the names of all labels that rules set, sorted.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        self.specs == other.specs
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rules").field(&self.specs).finish()
    }
}

/// A rule after compiling.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) from: Vec<String>,
    pub(crate) when: Option<Expression>,
    pub(crate) action: Action,
    pub(crate) labels: Vec<(String, Expression)>,
    pub(crate) stop: bool,
}

/// The effect of a rule besides labels.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    None,
    Drop,
    Priority(Priority),
    Score { value: Expression, thresholds: Vec<Threshold> },
}

/// A mistake in the rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule:?}: {place}: {reason}")]
pub struct Problem {
    /// Number of the rule, from 0.
    pub index: usize,
    /// Name of the rule.
    pub rule: String,
    /// Field of the rule.
    pub place: Place,
    /// Error text, with line and column if the field is an expression.
    pub reason: String,
}

impl Problem {
    fn new(index: usize, spec: &RuleSpec, place: Place, reason: impl Into<String>) -> Self {
        Self { index, rule: spec.name.clone(), place, reason: reason.into() }
    }

    fn of(index: usize, spec: &RuleSpec, place: Place, error: &CompileError) -> Self {
        Self::new(index, spec, place, error.to_string())
    }
}

/// A field of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The rule as a whole.
    Rule,
    /// The rule's field `name`.
    Name,
    /// An item of the list `from`.
    From(usize),
    /// The condition: field `when`.
    When,
    /// The expression in `score.value`.
    Score,
    /// The list in `score.thresholds`.
    Thresholds,
    /// The expression of one label: `labels.NAME`.
    Label(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule => f.write_str("rule"),
            Self::Name => f.write_str("name"),
            Self::From(index) => write!(f, "from[{index}]"),
            Self::When => f.write_str("when"),
            Self::Score => f.write_str("score.value"),
            Self::Thresholds => f.write_str("score.thresholds"),
            Self::Label(name) => write!(f, "labels.{name}"),
        }
    }
}
