//! Conditions that the process needs before it can accept durably. Each has a name and is either met or has a reason,
//! and `/readyz` answers with the reasons.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// The conditions of one process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    conditions: Arc<Mutex<BTreeMap<String, Option<String>>>>,
}

/// One condition of readiness. The code that knows whether it is met holds it. Dropping it withdraws the condition.
#[derive(Debug)]
pub struct Condition {
    readiness: Readiness,
    name: String,
}

/// A condition that is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// Name of the condition.
    pub name: String,
    /// Reason for which it is not met.
    pub reason: String,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.reason)
    }
}

impl Readiness {
    /// Adds a condition that is not met until [`Condition::met`] is called. Names are unique.
    pub fn condition(&self, name: impl Into<String>, reason: impl Into<String>) -> Condition {
        let condition = Condition { readiness: self.clone(), name: name.into() };
        condition.unmet(reason);
        condition
    }

    /// Makes the process not ready for the rest of its life.
    pub fn lost(&self, name: &str, reason: impl Into<String>) {
        self.set(name, Some(reason.into()));
    }

    /// Returns the conditions that are not met, by name. Empty means ready.
    pub fn unmet(&self) -> Vec<Unmet> {
        let conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        let unmet = |(name, reason): (&String, &Option<String>)| {
            Some(Unmet { name: name.clone(), reason: reason.clone()? })
        };
        conditions.iter().filter_map(unmet).collect()
    }

    fn set(&self, name: &str, reason: Option<String>) {
        let mut conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        conditions.insert(name.to_owned(), reason);
    }
}

impl Condition {
    /// Records that the condition is met.
    pub fn met(&self) {
        self.readiness.set(&self.name, None);
    }

    /// Records that the condition is not met, with the reason.
    pub fn unmet(&self, reason: impl Into<String>) {
        self.readiness.set(&self.name, Some(reason.into()));
    }
}

impl Drop for Condition {
    fn drop(&mut self) {
        let mut conditions = self.readiness.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        conditions.remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_once_every_condition_is_met() {
        let readiness = Readiness::default();
        let journal = readiness.condition("journal", "recovering");
        let certificate = readiness.condition("certificate", "none loaded");
        journal.met();
        let unmet = Unmet { name: "certificate".into(), reason: "none loaded".into() };
        assert_eq!(readiness.unmet(), [unmet]);
        certificate.met();
        assert_eq!(readiness.unmet(), []);
        journal.unmet("disk full");
        assert_eq!(readiness.unmet()[0].to_string(), "journal: disk full");
    }

    #[test]
    fn dropped_condition_is_withdrawn() {
        let readiness = Readiness::default();
        drop(readiness.condition("certificate", "none loaded"));
        assert_eq!(readiness.unmet(), []);
    }
}
