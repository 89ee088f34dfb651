//! An explanation as text, one line for each rule, fact and destination.

use std::fmt::Write;

use visnyk_crds::valid::ValidatedRelay;
use visnyk_rules::{
    BodyKind, Decision, Effects, Failure, Outcome, RuleError, Selection, Step, Verdict, budget,
};

/// Returns the lines of an explanation.
pub fn report(valid: &ValidatedRelay, decision: &Decision, steps: &[Step]) -> String {
    let name = |rule: usize| valid.rules.specs().get(rule).map_or("", |spec| spec.name.as_str());
    let mut lines = String::new();
    for (rule, step) in steps.iter().enumerate() {
        let _ = writeln!(lines, "rule {}: {}", name(rule), told(step));
    }
    if let Verdict::Drop { rule } = decision.verdict {
        let _ = writeln!(lines, "dropped by rule {}", name(rule));
    } else {
        let by =
            decision.classified_by.map_or("the source".to_owned(), |rule| format!("rule {}", name(rule)));
        let _ = writeln!(lines, "priority {} (by {by})", decision.priority);
        for (label, value) in &decision.labels {
            let _ = writeln!(lines, "label {label} = {value:?}");
        }
        for (destination, outcome) in valid.destinations.iter().zip(&decision.destinations) {
            let _ = writeln!(lines, "destination {}: {}", destination.name, fate(outcome, &name));
        }
        if decision.is_unmatched() {
            let _ = writeln!(lines, "unmatched: no destination gets it");
        }
    }
    let _ = writeln!(lines, "{}; cost {} of {}", body(decision.body), decision.cost, budget::LIMIT);
    lines
}

fn told(step: &Step) -> String {
    match step {
        Step::OtherSource => "is for other sources".to_owned(),
        Step::NoMatch => "does not match".to_owned(),
        Step::FieldMissing => "does not match: a field is missing".to_owned(),
        Step::NotReached => "not reached: an earlier rule ended the rules".to_owned(),
        Step::Failed(error) => format!("failed: {error}"),
        Step::Matched(effects) => matched(effects),
    }
}

fn matched(effects: &Effects) -> String {
    let mut parts = Vec::new();
    if effects.drop {
        parts.push("drops the event".to_owned());
    }
    if let Some(score) = effects.score {
        parts.push(format!("score {score}"));
    }
    if let Some(priority) = effects.priority {
        parts.push(format!("sets priority {priority}"));
    }
    parts.extend(effects.labels.iter().map(|(label, value)| format!("sets label {label} = {value:?}")));
    if effects.stop {
        parts.push("ends the rules".to_owned());
    }
    if parts.is_empty() {
        parts.push("sets nothing: a field is missing".to_owned());
    }
    format!("matches: {}", parts.join(", "))
}

fn fate<'a>(outcome: &Outcome, name: &impl Fn(usize) -> &'a str) -> String {
    let fate = match outcome.selection {
        Selection::Selected => "gets it",
        Selection::Filtered => "does not get it: `when` does not select it",
        Selection::DeadLetter => "dead letter",
    };
    match outcome.failure {
        None => fate.to_owned(),
        Some(Failure::When(error)) => format!("{fate}, by onError: `when` failed: {error}"),
        Some(Failure::Rule(RuleError { rule, error })) => {
            format!("{fate}, by onError: rule {} failed: {error}", name(rule))
        }
    }
}

fn body(kind: Option<BodyKind>) -> &'static str {
    match kind {
        None => "body not read: no expression asked for it",
        Some(BodyKind::Json) => "body read as JSON",
        Some(BodyKind::Xml) => "body read as XML",
        Some(BodyKind::Form) => "body read as a form",
        Some(BodyKind::Text) => "body read as text",
        Some(BodyKind::Binary) => "body is not text, and missing in expressions",
        Some(BodyKind::TooLarge) => "body is larger than 1 MiB, and missing in expressions",
    }
}
