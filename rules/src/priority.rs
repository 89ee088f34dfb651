//! The urgency of an event.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Urgency of an event. The order is by urgency: `Critical` is the smallest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Priority {
    /// Events that need a person at once.
    Critical,
    /// Events that are important.
    Major,
    /// The priority of events that no rule and no source classifies.
    #[default]
    Minor,
    /// Events for the record only.
    Informational,
}

impl Priority {
    /// All priorities, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::Major, Self::Minor, Self::Informational];

    /// Returns the name by which expressions and manifests know it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "Critical",
            Self::Major => "Major",
            Self::Minor => "Minor",
            Self::Informational => "Informational",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
