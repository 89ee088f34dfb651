//! Counts of what rules did, for metrics and `/status`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::decisions::Verdict;
use super::policy::{Judgement, Policy};

/// Counts since the process started. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct TriageReport {
    counts: Arc<Mutex<TriageCounts>>,
}

/// Counts since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TriageCounts {
    /// Events that each rule dropped.
    pub dropped: BTreeMap<String, u64>,
    /// Events for which an expression of this rule or destination failed.
    pub errors: BTreeMap<String, u64>,
    /// Events that no destination of the configuration selected.
    pub unmatched: u64,
    /// Events that were decided without rules, since these panicked or the process died twice.
    pub without_rules: u64,
    /// Reason why decisions cannot be written, while deliveries pause for that.
    pub problem: Option<String>,
}

impl TriageReport {
    /// Returns the counts.
    pub fn counts(&self) -> TriageCounts {
        self.lock().clone()
    }

    pub(super) fn count(&self, policy: &Policy, judgement: &Judgement) {
        let is_unmatched = policy.is_unmatched(&judgement.decision);
        let rule = match judgement.decision.verdict {
            Verdict::Dropped(rule) => policy.tables.rules.get(usize::from(rule)),
            Verdict::Decided | Verdict::WithoutRules => None,
        };
        let is_without_rules = judgement.decision.verdict == Verdict::WithoutRules;
        if rule.is_none() && !is_unmatched && !is_without_rules && judgement.errors.is_empty() {
            return;
        }
        let mut counts = self.lock();
        counts.unmatched += u64::from(is_unmatched);
        counts.without_rules += u64::from(is_without_rules);
        if let Some(rule) = rule {
            *counts.dropped.entry(rule.clone()).or_default() += 1;
        }
        for name in &judgement.errors {
            *counts.errors.entry(name.clone()).or_default() += 1;
        }
    }

    pub(super) fn set_problem(&self, problem: Option<String>) {
        self.lock().problem = problem;
    }

    // Nothing that runs under the lock panics half-way.
    fn lock(&self) -> MutexGuard<'_, TriageCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
