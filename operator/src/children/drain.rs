//! The Job that delivers what is in a volume which no replica uses any more.

use std::time::Duration;

use serde_json::json;
use visnyk_crds::contract::{exit, flags};

use super::Workload;
use super::pod::{Duty, template};
use crate::children::child::{Child, Kind};

/// Pods that may fail: the deadline ends a Job, and nothing else.
const NO_LIMIT: i32 = i32::MAX;

/// Returns the Job of this name, which drains a claim.
pub fn drain(workload: &Workload<'_>, name: &str, claim: &str, timeout: Duration) -> Child {
    let owner = workload.owner;
    let mut delivering = workload.clone();
    delivering.args.push(format!("--{}", flags::DELIVER_ONLY));
    let on_exit = json!({
        "containerName": owner.role.suffix(), "operator": "In", "values": [exit::UNDELIVERED],
    });
    let body = json!({ "spec": {
        "activeDeadlineSeconds": timeout.as_secs(),
        "backoffLimit": NO_LIMIT,
        // As they are anyway; what is not said here is not set back when a hand changes it.
        "parallelism": 1,
        "suspend": false,
        "podFailurePolicy": { "rules": [{ "action": "FailJob", "onExitCodes": on_exit }] },
        "template": template(&delivering, Duty::Drain { claim }),
    } });
    Child::new(owner, Kind::Job, name, body)
}
