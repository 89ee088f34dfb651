//! The last failure of each destination, for `/status`: that of the latest attempt, while a failed event waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::failure::Failure;

/// The last failure of each destination, with at most [`Failure::detail`]'s length each. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct LastFailures(Arc<Mutex<HashMap<String, String>>>);

impl LastFailures {
    /// Returns what the last failed attempt at a destination ended with. It has no query string, no header and nothing
    /// of an event or an answer's body.
    pub fn of(&self, destination: &str) -> Option<String> {
        self.all().get(destination).cloned()
    }

    /// Notes that an attempt failed.
    pub fn note(&self, destination: &str, failure: &Failure) {
        self.all().insert(destination.to_owned(), failure.detail.clone());
    }

    /// Notes that no failed event waits any more, or that the destination is another one or gone.
    pub fn clear(&self, destination: &str) {
        self.all().remove(destination);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
