//! Settings of heartbeats to destinations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds;
use crate::text::{GoDuration, Name};

/// Heartbeat requests to destinations. They are not stored, not retried and not counted as events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Heartbeat {
    /// Interval between two heartbeats, as a duration. Each pod sends its own. Default 5m.
    #[serde(default = "every")]
    #[schemars(extend("x-kubernetes-validations" = bounds::HEARTBEAT_EVERY.rules()))]
    pub every: GoDuration,
    /// Names of the destinations that get heartbeats. Each must be in `destinations`.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub to: Vec<Name>,
}

fn every() -> GoDuration {
    GoDuration::from("5m")
}
