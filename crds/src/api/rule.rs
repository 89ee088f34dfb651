//! Rules: what an event is, and how urgent.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Explicit, map_of};
use crate::text::{Expression, Name};

/// Error text for a rule without an effect.
const NO_EFFECT: &str = "needs at least one of drop, priority, score, labels, stop";
/// Error text for a rule that drops and does something else.
const DROP_ALONE: &str = "drop cannot be combined with priority, score, labels or stop";
/// Error text for a rule that sets the priority twice.
const TWO_PRIORITIES: &str = "needs at most one of priority, score";

/// A rule: events for which it is, and its effects on them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = effects()))]
pub struct Rule {
    /// Name of the rule, unique in this relay. It appears in `/status`, in metrics, and with each event that it drops.
    pub name: Name,
    /// Names of the sources whose events it is for. Absent: all sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub from: Vec<Name>,
    /// Condition, an expression in CEL that is true or false, for example `body.site == 'kyiv'`; variables and
    /// functions are in docs/rules.md. A field that is missing is no match. Absent: the rule is for every event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Expression>,
    /// Drops the event, as `{}`: no destination gets it, it is counted as dropped by this rule, and no later rule is
    /// looked at. Absent: the event is not dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop: Option<Explicit>,
    /// Priority that the event gets: `Critical`, `Major`, `Minor` or `Informational`. A later rule that matches can set
    /// another. Absent: the priority stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Priority by a number that is computed from the event. Absent: the priority stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// Labels that the event gets: names, and expressions for their values, for example `{team: "'network'", site:
    /// "body.from_city"}`. Later rules and destinations read them as `labels.team`. A label whose field is missing is
    /// not set. Absent: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = map_of(16))]
    pub labels: BTreeMap<String, Expression>,
    /// End of the rules for an event that matches, as `{}`: no later rule is looked at. Absent: the rules go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Explicit>,
}

/// Priority of an event: `Critical`, `Major`, `Minor` or `Informational`. Absent: `Minor`, or what it was before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Priority {
    /// Events that need a person at once.
    Critical,
    /// Events that are important.
    Major,
    /// Events of which nothing else is known.
    #[default]
    Minor,
    /// Events for the record only.
    Informational,
}

impl From<Priority> for visnyk_rules::Priority {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Critical => Self::Critical,
            Priority::Major => Self::Major,
            Priority::Minor => Self::Minor,
            Priority::Informational => Self::Informational,
        }
    }
}

/// A number that sets the priority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Score {
    /// Expression in CEL that is a number, for example `double(body.impact) * double(body.likelihood)`. A field that is
    /// missing leaves the priority as it is.
    pub value: Expression,
    /// Priorities by the least number for them. The entry with the largest `atLeast` that the score reaches counts; a
    /// score below all of them leaves the priority as it is.
    #[schemars(length(min = 1, max = 16), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["atLeast"],
    ))]
    pub thresholds: Vec<Threshold>,
}

/// A priority for scores from a number on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Threshold {
    /// Minimum score for this priority, a whole number.
    #[schemars(range(min = -1_000_000_000, max = 1_000_000_000))]
    pub at_least: i32,
    /// Priority that the event gets: `Critical`, `Major`, `Minor` or `Informational`.
    pub priority: Priority,
}

/// Treatment of an event when an expression fails, of a rule or of the destination: `Deliver` or `DeadLetter`. A field
/// that is missing is no failure. Absent: `Deliver`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum OnError {
    /// The destination gets the event.
    #[default]
    Deliver,
    /// The event becomes a dead letter of the destination.
    DeadLetter,
}

impl From<OnError> for visnyk_rules::OnError {
    fn from(on_error: OnError) -> Self {
        match on_error {
            OnError::Deliver => Self::Deliver,
            OnError::DeadLetter => Self::DeadLetter,
        }
    }
}

fn effects() -> Value {
    json!([
        {
            "rule": "has(self.drop) || has(self.priority) || has(self.score) || has(self.labels) || has(self.stop)",
            "message": NO_EFFECT,
        },
        {
            "rule": "!has(self.drop) || !(has(self.priority) || has(self.score) || has(self.labels) || has(self.stop))",
            "message": DROP_ALONE,
        },
        { "rule": "!(has(self.priority) && has(self.score))", "message": TWO_PRIORITIES },
    ])
}
