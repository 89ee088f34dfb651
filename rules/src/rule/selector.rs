//! Which events a destination gets.

use crate::expr::{CompileError, Expression, Names, Node, Root, Wanted};

/// Treatment of an event for a destination when an expression fails. A missing field is no failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The destination gets the event.
    #[default]
    Deliver,
    /// The event becomes a dead letter of the destination.
    DeadLetter,
}

/// The condition of a destination. Two are equal if what was written is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    pub(crate) when: Option<Expression>,
    pub(crate) on_error: OnError,
    pub(crate) reads_rules: bool,
}

impl Selector {
    /// Compiles the condition of a destination. Without one it gets every event.
    ///
    /// For a destination that is no longer in the manifest, `names` without labels accepts labels that no rule sets
    /// any more; they are missing.
    ///
    /// # Errors
    /// The first mistake, with its line and column.
    pub fn compile(when: Option<&str>, on_error: OnError, names: &Names<'_>) -> Result<Self, CompileError> {
        let when = when.map(|text| Expression::compile(text, Wanted::Bool, names)).transpose()?;
        let reads_rules = when.as_ref().is_some_and(|when| reads_rules(&when.node));
        Ok(Self { when, on_error, reads_rules })
    }

    /// Returns the condition as written.
    pub fn when(&self) -> Option<&str> {
        self.when.as_ref().map(Expression::text)
    }

    /// Returns the treatment of an event when an expression fails.
    pub fn on_error(&self) -> OnError {
        self.on_error
    }
}

/// Returns whether an expression reads what rules set: the priority or a label.
fn reads_rules(node: &Node) -> bool {
    match node {
        Node::Priority => true,
        Node::Lookup(lookup) | Node::HasName(lookup) => {
            lookup.root == Root::Labels || reads_rules(&lookup.name)
        }
        node => node.children().any(reads_rules),
    }
}
