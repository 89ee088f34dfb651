//! One event through all rules and all destinations.

mod run;

use crate::eval::EvalError;
use crate::event::{Event, Facts};
use crate::priority::Priority;
use crate::rule::{Rules, Selector};
use crate::value::body::BodyKind;

use run::Run;

/// The decision about an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The verdict of the rules on it.
    pub verdict: Verdict,
    /// Its urgency. Without meaning for a dropped event.
    pub priority: Priority,
    /// Number of the rule that set the priority; `None`: it is that of the source.
    pub classified_by: Option<usize>,
    /// Labels that rules set, in the order in which they were first set.
    pub labels: Vec<(String, String)>,
    /// One entry for each destination, in their order; empty for a dropped event.
    pub destinations: Vec<Outcome>,
    /// Rules that failed, in their order.
    pub errors: Vec<RuleError>,
    /// Cost, at most [`crate::budget::LIMIT`].
    pub cost: u64,
    /// Form in which the body was read; `None`: no expression read it.
    pub body: Option<BodyKind>,
}

impl Decision {
    /// Returns whether the event was kept and no destination gets it, not even as a dead letter.
    pub fn is_unmatched(&self) -> bool {
        let filtered = |outcome: &Outcome| outcome.selection == Selection::Filtered;
        self.verdict == Verdict::Keep && self.destinations.iter().all(filtered)
    }
}

/// The verdict of the rules on an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The destinations' conditions decide.
    Keep,
    /// No destination gets it.
    Drop {
        /// Number of the rule that dropped it.
        rule: usize,
    },
}

/// The outcome of an event at a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The choice of the destination's condition, or of its `OnError`.
    pub selection: Selection,
    /// The failure that decided, by the destination's [`crate::OnError`]; `None`: no failure did.
    pub failure: Option<Failure>,
}

/// The choice whether a destination gets an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// It gets the event.
    Selected,
    /// Its condition is false, or a field in it is missing.
    Filtered,
    /// The event is a dead letter of the destination, without an attempt.
    DeadLetter,
}

/// The failure that decided about a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A rule failed whose result could matter to the destination.
    Rule(RuleError),
    /// The destination's own condition failed.
    When(EvalError),
}

/// A rule that failed for an event. It had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// Number of the rule.
    pub rule: usize,
    /// Reason, without any value of the event.
    pub error: RuleFailure,
}

/// Reason for which a rule failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleFailure {
    /// An expression of it cannot be evaluated.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// A label's value is too long.
    #[error("value of a label has more than {} bytes", crate::rule::MAX_LABEL_BYTES)]
    LongLabel,
}

/// The result of one rule, for an explanation.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// It is for other sources.
    OtherSource,
    /// Its condition is false.
    NoMatch,
    /// A field in its condition is missing, which is no match.
    FieldMissing,
    /// It matched and had its effects.
    Matched(Effects),
    /// It failed and had no effect.
    Failed(RuleFailure),
    /// An earlier rule ended the rules.
    NotReached,
}

/// Effects of a rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// The event is dropped.
    pub drop: bool,
    /// Priority that it set.
    pub priority: Option<Priority>,
    /// Score, if it computes one and no field in it is missing.
    pub score: Option<f64>,
    /// Labels that it set. A label whose field is missing is not set.
    pub labels: Vec<(String, String)>,
    /// No later rule is looked at.
    pub stop: bool,
}

/// Decides about an event.
///
/// Rules are looked at from the first to the last, so the last that matches wins, unless one before it has `stop` or
/// drops the event. Then each destination's condition is evaluated.
///
/// | failure | answer |
/// |---|---|
/// | in a rule that drops | the rule does not match |
/// | in any other rule | the rule has no effect; each destination's `OnError` decides, except where a condition that reads neither priority nor labels is false |
/// | in a destination's condition | the destination's `OnError` decides |
///
/// # Guarantees
/// Pure and total: the same arguments give the same decision, and no argument makes it panic. The cost is bounded by
/// [`crate::budget::LIMIT`]; an event that would exceed it fails in the rules and conditions that come after.
pub fn decide(event: Event<'_>, rules: &Rules, destinations: &[Selector]) -> Decision {
    let facts = Facts::new(event);
    Run::new(&facts, rules).decide(destinations, true, &mut |_, _| {})
}

/// Returns what [`decide`] returns, and what each rule did, in their order.
///
/// The steps are those of a second run in which no rule is skipped by the index. They differ from the decision only
/// for an event that is close to its budget.
pub fn explain(event: Event<'_>, rules: &Rules, destinations: &[Selector]) -> (Decision, Vec<Step>) {
    let mut steps = vec![Step::NotReached; rules.specs().len()];
    let trace = &mut |rule, step| {
        if let Some(place) = steps.get_mut::<usize>(rule) {
            *place = step;
        }
    };
    Run::new(&Facts::new(event), rules).decide(destinations, false, trace);
    (decide(event, rules, destinations), steps)
}

#[cfg(test)]
mod tests;
