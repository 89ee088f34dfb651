//! The rules and destinations of a configuration, as triage applies them.

use std::collections::HashMap;
use std::sync::Arc;

use visnyk_rules::{self as rules, Names, OnError, Priority, Rules, Selection, Selector};

use super::decisions::{Addressee, Decision, MAX_DESTINATIONS, Tables, Verdict};
use super::policy::{Judge, Judgement, Policy, lane};
use crate::event::{Attributes, Event};

/// The rules of a configuration, and the condition of each destination, by its name.
#[derive(Clone, Debug, Default)]
pub struct Ruling {
    /// Rules for the events of all destinations.
    pub rules: Rules,
    /// Conditions of the destinations.
    pub destinations: Vec<(String, Selector)>,
    /// Priorities of the events of a source that no rule classifies.
    pub priorities: HashMap<String, Priority>,
}

struct RuleJudge {
    rules: Rules,
    selectors: Vec<Selector>,
    priorities: HashMap<String, Priority>,
    tables: Arc<Tables>,
}

impl Ruling {
    /// Adds a destination that is no longer in the manifest, with the condition that it last had. One that cannot be
    /// compiled any more is left out: such a destination is asked by its condition when it is back.
    pub fn add_removed(&mut self, removed: &Addressee) {
        let on_error = if removed.dead_letters_errors { OnError::DeadLetter } else { OnError::Deliver };
        // Its labels may be set by no rule any more.
        let names = Names { labels: None };
        match Selector::compile(removed.when.as_deref(), on_error, &names) {
            Ok(selector) => self.destinations.push((removed.name.clone(), selector)),
            Err(error) => {
                tracing::warn!(destination = removed.name, %error, "condition of a removed destination cannot be used");
            }
        }
    }

    /// Returns whether there is anything to decide.
    fn decides(&self) -> bool {
        !self.rules.specs().is_empty()
            || self.destinations.iter().any(|(_, selector)| selector.when().is_some())
    }
}

impl From<Ruling> for Policy {
    /// Makes the policy. Destinations beyond [`MAX_DESTINATIONS`] have no bit: each is asked by its own condition when its
    /// turn comes.
    fn from(ruling: Ruling) -> Self {
        let addressee = |(name, selector): &(String, Selector)| Addressee {
            name: name.clone(),
            when: selector.when().map(ToOwned::to_owned),
            dead_letters_errors: selector.on_error() == OnError::DeadLetter,
        };
        let tables = Arc::new(Tables {
            destinations: ruling.destinations.iter().take(MAX_DESTINATIONS).map(addressee).collect(),
            rules: ruling.rules.specs().iter().map(|spec| spec.name.clone()).collect(),
        });
        let decides = ruling.decides();
        let Ruling { rules, destinations, priorities } = ruling;
        let selectors = destinations.into_iter().map(|(_, selector)| selector).collect();
        let judge = RuleJudge { rules, selectors, priorities, tables: Arc::clone(&tables) };
        Self { tables, judge: decides.then(|| Box::new(judge) as Box<dyn Judge>) }
    }
}

impl Judge for RuleJudge {
    fn judge(&self, event: &Event) -> Judgement {
        let envelope = &event.envelope;
        let priority = self.priorities.get(&envelope.source).copied().unwrap_or_default();
        let Attributes { kind, id, origin, time_ms } = &*envelope.attributes;
        let event = rules::Event {
            source: &envelope.source,
            received_at_ms: envelope.received_at_ms,
            target: &envelope.target,
            headers: &envelope.headers,
            attributes: rules::Attributes {
                kind: kind.as_deref(),
                id: id.as_deref(),
                origin: origin.as_deref(),
                time_ms: *time_ms,
            },
            priority,
            body: &event.body,
        };
        let decided = rules::decide(event, &self.rules, &self.selectors);
        let verdict = match decided.verdict {
            rules::Verdict::Keep => Verdict::Decided,
            rules::Verdict::Drop { rule } => Verdict::Dropped(u16::try_from(rule).unwrap_or(u16::MAX)),
        };
        let bits = |wanted: Selection| {
            let of = |(bit, outcome): (usize, &rules::Outcome)| u64::from(outcome.selection == wanted) << bit;
            decided.destinations.iter().take(MAX_DESTINATIONS).enumerate().map(of).sum()
        };
        let decision = Decision {
            verdict,
            lane: lane(decided.priority),
            key: 0,
            dead: bits(Selection::DeadLetter),
            selected: bits(Selection::Selected),
        };
        Judgement { decision, errors: self.errors(&decided) }
    }
}

impl RuleJudge {
    /// Returns the names of the rules, and of the destinations, whose expression failed.
    fn errors(&self, decided: &rules::Decision) -> Vec<String> {
        let rules = decided.errors.iter().filter_map(|error| self.tables.rules.get(error.rule));
        let conditions = decided.destinations.iter().zip(&self.tables.destinations);
        let failed =
            conditions.filter(|(outcome, _)| matches!(outcome.failure, Some(rules::Failure::When(_))));
        rules.cloned().chain(failed.map(|(_, destination)| destination.name.clone())).collect()
    }
}
