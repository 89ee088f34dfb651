//! Requests of the operator to the API server, from its audit log.

use visnyk_cluster_harness::{AuditEvent, AuditLog};

use super::USER_AGENT;
use super::resources::NAMESPACE;

/// Requests about the namespace that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Requests {
    /// All of them; a watch counts when it ends.
    pub all: u32,
    /// Those that asked for a change.
    pub writes: u32,
}

impl Requests {
    /// Counts the requests of the operator: the cluster's controllers have accounts of theirs.
    pub fn of_operator(log: &AuditLog) -> anyhow::Result<Self> {
        let ours = |event: &AuditEvent| {
            event.is_finished()
                && event.namespace() == NAMESPACE
                && event.user.username == "admin"
                && event.user_agent != USER_AGENT
        };
        let events = log.events(ours)?;
        let writes = events.iter().filter(|event| event.is_write()).count();
        Ok(Self { all: u32::try_from(events.len())?, writes: u32::try_from(writes)? })
    }

    /// Returns the number of those that asked for no change.
    pub fn reads(self) -> u32 {
        self.all - self.writes
    }
}
