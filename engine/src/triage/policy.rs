//! The rules in force, as triage applies them: what they say about one event, and to whom.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use visnyk_rules::Priority;

use super::decisions::{Decision, Tables, Verdict};
use crate::event::Event;

/// Rules and destinations of the configuration in force.
pub struct Policy {
    /// Names of the destinations and rules that a decision refers to.
    pub tables: Arc<Tables>,
    /// Evaluates the rules. Absent: there are none, and no destination has a `when`.
    pub judge: Option<Box<dyn Judge>>,
}

/// Evaluates rules. The same event gives the same judgement.
pub trait Judge: Send + Sync {
    /// Returns the decision about an event. Its bits and rules are those of the policy's tables.
    fn judge(&self, event: &Event) -> Judgement;
}

/// The decision about an event, and what is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The decision.
    pub decision: Decision,
    /// Names of the rules and destinations whose expression failed.
    pub errors: Vec<String>,
}

impl Policy {
    /// Returns the policy of a configuration without rules.
    pub fn without_rules() -> Self {
        Self { tables: Arc::default(), judge: None }
    }

    /// Decides about an event. Rules that panic are left out for this event.
    pub(super) fn decide(&self, event: &Event) -> Judgement {
        let Some(judge) = &self.judge else { return to_all(Verdict::Decided) };
        // Nothing that it could leave half-done is used again.
        catch_unwind(AssertUnwindSafe(|| judge.judge(event))).unwrap_or_else(|_| {
            tracing::error!(event = %event.envelope.id, "rules panicked, this event is decided without them");
            to_all(Verdict::WithoutRules)
        })
    }

    /// Decides about an event without rules, because the process has died twice at it.
    pub(super) fn give_up(event: &Event) -> Judgement {
        tracing::error!(event = %event.envelope.id, "the process died twice at this event, it is decided without rules");
        to_all(Verdict::WithoutRules)
    }

    /// Returns whether an event is decided that no destination of the configuration gets.
    pub(super) fn is_unmatched(&self, decision: &Decision) -> bool {
        let all = (0..self.tables.destinations.len()).fold(0, |bits, bit| bits | 1u64 << bit.min(63));
        decision.verdict == Verdict::Decided && (decision.selected | decision.dead) & all == 0 && all != 0
    }
}

fn to_all(verdict: Verdict) -> Judgement {
    let decision = Decision { verdict, lane: lane(Priority::default()), key: 0, dead: 0, selected: u64::MAX };
    Judgement { decision, errors: vec![] }
}

/// Returns the number of a priority's lane, the most urgent first.
pub(super) fn lane(priority: Priority) -> u8 {
    match priority {
        Priority::Critical => 0,
        Priority::Major => 1,
        Priority::Minor => 2,
        Priority::Informational => 3,
    }
}
