//! Decides what an event is, how urgent it is, and which destinations get it. Pure: no IO, no clock, no randomness.
//! The same event, rules and destinations always give the same decision.
//!
//! Used by the relay (decides), by the operator and `check` (compile before a configuration is used), and by
//! `explain`.
//!
//! | module | content |
//! |---|---|
//! | [`expr`] | expressions: text to [`Expression`], with every limit that is known before an event comes |
//! | `value` | the body as a value: JSON, XML, form or text |
//! | `eval` | a value of an expression for one event, within a [`budget`] |
//! | [`rule`] | rules: what they set, compiled |
//! | [`decide`](mod@decide) | one event through all rules and all destinations |
//!
//! # Guarantees
//! - No event and no expression makes a function of this crate panic or recurse deeper than [`expr::MAX_DEPTH`] or
//!   the 128 levels of a body.
//! - An event costs at most [`budget::LIMIT`], counted in bytes read and nodes evaluated, whatever a sender puts in it.
//! - A missing field is no match and no error.

pub mod budget;
pub mod decide;
mod eval;
pub mod event;
pub mod expr;
pub mod priority;
pub mod rule;
mod value;

pub use decide::{
    Decision, Effects, Failure, Outcome, RuleError, RuleFailure, Selection, Step, Verdict, decide, explain,
};
pub use eval::EvalError;
pub use event::{Attributes, Event};
pub use expr::{CompileError, Expression, Names};
pub use priority::Priority;
pub use rule::{OnError, Place, Problem, RuleSpec, Rules, ScoreSpec, Selector, Threshold};
pub use value::body::BodyKind;
