//! The destinations whose deliveries wait for something that the manifest refers to and that is not there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{info, warn};

/// The reason of each destination that waits. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct BlockedDestinations(Arc<Mutex<HashMap<String, String>>>);

impl BlockedDestinations {
    /// Returns the reason for which a destination waits; `None` if it does not wait.
    pub fn of(&self, destination: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(destination).cloned()
    }

    /// Sets the reason for which a destination waits; `None`: it does not wait.
    pub fn set(&self, destination: &str, reason: Option<&str>) {
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match reason {
            Some(reason) => waits.insert(destination.to_owned(), reason.to_owned()),
            None => waits.remove(destination),
        };
        match reason {
            Some(reason) if before.as_deref() != Some(reason) => {
                warn!(destination, reason, "deliveries wait");
            }
            None if before.is_some() => info!(destination, "deliveries wait no more"),
            _ => {}
        }
    }
}
