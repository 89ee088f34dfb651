//! From rules as written to compiled ones.

use std::collections::BTreeSet;

use super::{Action, MAX_LABELS, MAX_RULES, MAX_THRESHOLDS, Place, Problem, Rule, RuleSpec, ScoreSpec};
use crate::expr::{Expression, Names, Wanted};

/// Maximum number of different labels of all rules together.
const MAX_LABEL_NAMES: usize = 64;
/// Maximum bytes of a label's name.
const MAX_NAME_BYTES: usize = 63;

pub(super) fn label_names(specs: &[RuleSpec]) -> Vec<String> {
    let names: BTreeSet<&String> =
        specs.iter().flat_map(|spec| spec.labels.iter().map(|(name, _)| name)).collect();
    names.into_iter().cloned().collect()
}

pub(super) fn rules(
    specs: &[RuleSpec],
    sources: &[String],
    labels: &[String],
) -> Result<Vec<Rule>, Vec<Problem>> {
    let mut problems = Vec::new();
    if let Some(spec) = specs.get(MAX_RULES) {
        let reason = format!("there are {} rules, at most {MAX_RULES} are allowed", specs.len());
        return Err(vec![Problem::new(MAX_RULES, spec, Place::Rule, reason)]);
    }
    let mut names = BTreeSet::new();
    let names_of_labels = Names { labels: Some(labels) };
    let mut rules = Vec::with_capacity(specs.len());
    for (index, spec) in specs.iter().enumerate() {
        if !names.insert(&spec.name) {
            problems.push(Problem::new(index, spec, Place::Name, "repeats the name of an earlier rule"));
        }
        if labels.len() > MAX_LABEL_NAMES && !spec.labels.is_empty() {
            let reason =
                format!("rules set {} different labels, at most {MAX_LABEL_NAMES} are allowed", labels.len());
            problems.push(Problem::new(index, spec, Place::Rule, reason));
        }
        let mut compiler = Compiler { index, spec, names: &names_of_labels, problems: &mut problems };
        rules.extend(compiler.rule(sources));
    }
    if problems.is_empty() { Ok(rules) } else { Err(problems) }
}

struct Compiler<'a> {
    index: usize,
    spec: &'a RuleSpec,
    names: &'a Names<'a>,
    problems: &'a mut Vec<Problem>,
}

impl Compiler<'_> {
    fn rule(&mut self, sources: &[String]) -> Option<Rule> {
        let spec = self.spec;
        for (at, name) in spec.from.iter().enumerate() {
            if !sources.contains(name) {
                self.add(Place::From(at), format!("{name:?} is not the name of a source of this relay"));
            }
        }
        self.check_effects();
        let when = spec.when.as_ref().map(|text| self.expression(Place::When, text, Wanted::Bool));
        let action = self.action();
        let labels: Vec<_> = spec.labels.iter().map(|(name, text)| self.label(name, text)).collect();
        Some(Rule {
            from: spec.from.clone(),
            when: match when {
                Some(when) => Some(when?),
                None => None,
            },
            action: action?,
            labels: labels.into_iter().collect::<Option<_>>()?,
            stop: spec.stop,
        })
    }

    fn check_effects(&mut self) {
        let spec = self.spec;
        let sets = spec.priority.is_some() || spec.score.is_some() || !spec.labels.is_empty();
        if !sets && !spec.drop && !spec.stop {
            self.add(Place::Rule, "has no effect: set drop, priority, score, labels or stop".to_owned());
        }
        if spec.drop && (sets || spec.stop) {
            self.add(
                Place::Rule,
                "drop cannot be combined: a dropped event has no priority or labels, and no later rule"
                    .to_owned(),
            );
        }
        if spec.priority.is_some() && spec.score.is_some() {
            self.add(Place::Rule, "has both priority and score, which set the same".to_owned());
        }
        if spec.labels.len() > MAX_LABELS {
            self.add(
                Place::Rule,
                format!("sets {} labels, at most {MAX_LABELS} are allowed", spec.labels.len()),
            );
        }
    }

    fn action(&mut self) -> Option<Action> {
        match (&self.spec.score, self.spec.priority) {
            _ if self.spec.drop => Some(Action::Drop),
            (Some(score), _) => self.score(score),
            (None, Some(priority)) => Some(Action::Priority(priority)),
            (None, None) => Some(Action::None),
        }
    }

    fn score(&mut self, score: &ScoreSpec) -> Option<Action> {
        let mut thresholds = score.thresholds.clone();
        thresholds.sort_by_key(|threshold| std::cmp::Reverse(threshold.at_least));
        if thresholds.is_empty() || thresholds.len() > MAX_THRESHOLDS {
            self.add(Place::Thresholds, format!("needs 1 to {MAX_THRESHOLDS} entries"));
        }
        if thresholds.windows(2).any(|pair| pair[0].at_least == pair[1].at_least) {
            self.add(Place::Thresholds, "has two priorities for one number".to_owned());
        }
        let value = self.expression(Place::Score, &score.value, Wanted::Number)?;
        Some(Action::Score { value, thresholds })
    }

    fn label(&mut self, name: &str, text: &str) -> Option<(String, Expression)> {
        let place = Place::Label(name.to_owned());
        let mut bytes = name.bytes();
        let is_name = name.len() <= MAX_NAME_BYTES
            && bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            let reason = format!(
                "name must be 1 to {MAX_NAME_BYTES} letters, digits and _, not beginning with a digit"
            );
            self.add(place.clone(), reason);
        }
        Some((name.to_owned(), self.expression(place, text, Wanted::Scalar)?))
    }

    fn expression(&mut self, place: Place, text: &str, wanted: Wanted) -> Option<Expression> {
        match Expression::compile(text, wanted, self.names) {
            Ok(expression) => Some(expression),
            Err(error) => {
                self.problems.push(Problem::of(self.index, self.spec, place, &error));
                None
            }
        }
    }

    fn add(&mut self, place: Place, reason: String) {
        self.problems.push(Problem::new(self.index, self.spec, place, reason));
    }
}
