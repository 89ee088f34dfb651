//! The sign of life.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds;
use crate::text::{GoDuration, Name};

/// A sign of life. It is neither kept, retried nor counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Heartbeat {
    /// The time between two.
    #[serde(default = "every")]
    #[schemars(extend("x-kubernetes-validations" = bounds::HEARTBEAT_EVERY.rules()))]
    pub every: GoDuration,
    /// Names of the destinations that get it.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub to: Vec<Name>,
}

fn every() -> GoDuration {
    GoDuration::from("5m")
}
