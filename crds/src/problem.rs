//! Mistakes in a manifest, and their places.

use std::collections::BTreeMap;
use std::fmt;

/// One mistake of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct Problem {
    /// Path of the field.
    pub place: FieldPath,
    /// Text of the error, for a user.
    pub reason: String,
}

/// Path of a field from the resource's root, shown as `spec.destinations[1].url`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Field(String),
    Index(usize),
}

impl FieldPath {
    /// Returns the path of a field of the root.
    pub fn of(field: &str) -> Self {
        Self(vec![Step::Field(field.to_owned())])
    }

    /// Returns the path of a field of this object.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        self.then(Step::Field(name.to_owned()))
    }

    /// Returns the path of an item of this list.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    /// Returns whether this path is `outer` or lies in it.
    pub fn is_within(&self, outer: &Self) -> bool {
        self.0.starts_with(&outer.0)
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if at == 0 => write!(f, "{name}")?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// The mistakes found so far, in the order of their places. A place has at most one: the latest, because later checks
/// know more.
#[derive(Debug, Default)]
pub struct Problems(BTreeMap<FieldPath, String>);

impl Problems {
    /// Adds a mistake at this path.
    pub fn add(&mut self, place: FieldPath, reason: impl Into<String>) {
        self.0.insert(place, reason.into());
    }

    /// Returns the value, or adds its mistake.
    pub fn note<T>(&mut self, place: FieldPath, checked: Result<T, impl Into<String>>) -> Option<T> {
        checked.map_err(|reason| self.add(place, reason)).ok()
    }

    /// Returns whether there are no mistakes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns all mistakes by path.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0.into_iter().map(|(place, reason)| Problem { place, reason }).collect()
    }

    /// Returns the value if there is no mistake.
    pub fn or<T>(self, value: Option<T>) -> Result<T, Vec<Problem>> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            _ => Err(self.into_vec()),
        }
    }
}

impl From<Problems> for Vec<Problem> {
    fn from(problems: Problems) -> Self {
        problems.into_vec()
    }
}
