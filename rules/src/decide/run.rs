//! The state of a decision while rules run.

use super::{Decision, Effects, Failure, Outcome, RuleError, RuleFailure, Selection, Step, Verdict};
use crate::eval::{EvalError, Scope, Stop, text};
use crate::event::Facts;
use crate::expr::{Expression, Node};
use crate::priority::Priority;
use crate::rule::{Action, MAX_LABEL_BYTES, OnError, Probes, Rule, Rules, Selector, Threshold};
use crate::value::Value;

pub(super) struct Run<'f, 'a> {
    facts: &'f Facts<'a>,
    rules: &'f Rules,
    priority: Priority,
    classified_by: Option<usize>,
    labels: Vec<(String, String)>,
    errors: Vec<RuleError>,
    /// The first failure of a rule that does not drop.
    failure: Option<RuleError>,
}

/// The result of a rule's condition.
enum Evaluated {
    No { missing: bool },
    Yes(Effects),
}

impl<'f, 'a> Run<'f, 'a> {
    pub(super) fn new(facts: &'f Facts<'a>, rules: &'f Rules) -> Self {
        Self {
            facts,
            rules,
            priority: facts.event.priority,
            classified_by: None,
            labels: Vec::new(),
            errors: Vec::new(),
            failure: None,
        }
    }

    pub(super) fn decide(
        mut self,
        destinations: &[Selector],
        indexed: bool,
        trace: &mut impl FnMut(usize, Step),
    ) -> Decision {
        let verdict = self.apply_rules(indexed, trace);
        let destinations = match verdict {
            Verdict::Drop { .. } => Vec::new(),
            Verdict::Keep => destinations.iter().map(|selector| self.select(selector)).collect(),
        };
        Decision {
            verdict,
            priority: self.priority,
            classified_by: self.classified_by,
            labels: self.labels,
            destinations,
            errors: self.errors,
            cost: self.facts.budget.spent(),
            body: self.facts.parsed_body().map(|body| body.kind),
        }
    }

    fn apply_rules(&mut self, indexed: bool, trace: &mut impl FnMut(usize, Step)) -> Verdict {
        let rules = self.rules;
        let mut probes = Probes::new(&rules.index);
        for (number, rule) in rules.compiled.iter().enumerate() {
            if !rule.from.is_empty() && !rule.from.iter().any(|source| source == self.facts.event.source) {
                trace(number, Step::OtherSource);
                continue;
            }
            let key = rules.index.key(number).filter(|_| indexed);
            // A field of the index depends on nothing that rules set.
            let constant = Scope { facts: self.facts, priority: self.priority, labels: &[] };
            if key.is_some_and(|key| !probes.may_match(key, &constant)) {
                continue;
            }
            match self.evaluate(rule) {
                Ok(Evaluated::No { missing }) => {
                    trace(number, if missing { Step::FieldMissing } else { Step::NoMatch });
                }
                Ok(Evaluated::Yes(effects)) => {
                    self.apply(number, &effects);
                    let ends = (effects.drop, effects.stop);
                    trace(number, Step::Matched(effects));
                    match ends {
                        (true, _) => return Verdict::Drop { rule: number },
                        (false, true) => return Verdict::Keep,
                        (false, false) => {}
                    }
                }
                Err(error) => {
                    let failure = RuleError { rule: number, error };
                    self.errors.push(failure);
                    if !matches!(rule.action, Action::Drop) {
                        self.failure = self.failure.or(Some(failure));
                    }
                    trace(number, Step::Failed(error));
                }
            }
        }
        Verdict::Keep
    }

    fn apply(&mut self, number: usize, effects: &Effects) {
        if let Some(priority) = effects.priority {
            self.priority = priority;
            self.classified_by = Some(number);
        }
        for (name, value) in &effects.labels {
            match self.labels.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => old.clone_from(value),
                None => self.labels.push((name.clone(), value.clone())),
            }
        }
    }

    fn scope(&self) -> Scope<'_, 'a> {
        Scope { facts: self.facts, priority: self.priority, labels: &self.labels }
    }

    fn evaluate(&self, rule: &Rule) -> Result<Evaluated, RuleFailure> {
        if let Some(when) = &rule.when {
            match found(self.scope().condition(&when.node))? {
                Some(true) => {}
                Some(false) => return Ok(Evaluated::No { missing: false }),
                None => return Ok(Evaluated::No { missing: true }),
            }
        }
        let mut effects = Effects { stop: rule.stop, ..Effects::default() };
        match &rule.action {
            Action::None => {}
            Action::Drop => effects.drop = true,
            Action::Priority(priority) => effects.priority = Some(*priority),
            Action::Score { value, thresholds } => {
                effects.score = self.score(&value.node)?;
                effects.priority = effects.score.and_then(|score| reached(score, thresholds));
            }
        }
        for (name, value) in &rule.labels {
            if let Some(value) = self.label(value)? {
                effects.labels.push((name.clone(), value));
            }
        }
        Ok(Evaluated::Yes(effects))
    }

    #[expect(clippy::cast_precision_loss, reason = "thresholds are small numbers")]
    fn score(&self, node: &Node) -> Result<Option<f64>, RuleFailure> {
        let wrong = |found| EvalError::Type { operation: "score", found };
        match found(self.scope().value(node))? {
            None => Ok(None),
            Some(Value::Int(value)) => Ok(Some(value as f64)),
            Some(Value::Double(value)) if value.is_nan() => {
                Err(EvalError::Range { operation: "score" }.into())
            }
            Some(Value::Double(value)) => Ok(Some(value)),
            Some(other) => Err(wrong(other.type_name()).into()),
        }
    }

    fn label(&self, expression: &Expression) -> Result<Option<String>, RuleFailure> {
        let scope = self.scope();
        let Some(value) = found(scope.value(&expression.node))? else { return Ok(None) };
        // A long text is refused before it is copied.
        if matches!(&value, Value::Text(text) if text.len() > MAX_LABEL_BYTES) {
            return Err(RuleFailure::LongLabel);
        }
        let wrong = EvalError::Type { operation: "label", found: value.type_name() };
        match value {
            Value::Null | Value::Time(_) | Value::Span(_) => Err(wrong.into()),
            value => Ok(Some(text(&value).ok_or(wrong)?)),
        }
    }

    fn select(&self, selector: &Selector) -> Outcome {
        let condition = match &selector.when {
            None => Ok(true),
            Some(when) => self.scope().condition(&when.node),
        };
        let selected = match found(condition) {
            Ok(selected) => selected.unwrap_or(false),
            Err(error) => return failed(selector, Failure::When(error)),
        };
        match self.failure {
            // What rules would have set cannot change a condition that does not read it.
            Some(failure) if selected || selector.reads_rules => failed(selector, Failure::Rule(failure)),
            _ if selected => Outcome { selection: Selection::Selected, failure: None },
            _ => Outcome { selection: Selection::Filtered, failure: None },
        }
    }
}

fn failed(selector: &Selector, failure: Failure) -> Outcome {
    let selection = match selector.on_error {
        OnError::Deliver => Selection::Selected,
        OnError::DeadLetter => Selection::DeadLetter,
    };
    Outcome { selection, failure: Some(failure) }
}

/// Separates a missing field, which is no error, from errors.
fn found<T>(evaluated: Result<T, Stop>) -> Result<Option<T>, EvalError> {
    match evaluated {
        Ok(value) => Ok(Some(value)),
        Err(Stop::Missing) => Ok(None),
        Err(Stop::Error(error)) => Err(error),
        Err(Stop::Exhausted) => Err(EvalError::Budget),
    }
}

/// Returns the priority of the largest threshold that a score reaches. Thresholds are sorted, the largest first.
#[expect(clippy::cast_precision_loss, reason = "thresholds are small numbers")]
fn reached(score: f64, thresholds: &[Threshold]) -> Option<Priority> {
    let found = thresholds.iter().find(|threshold| score >= threshold.at_least as f64);
    found.map(|threshold| threshold.priority)
}
