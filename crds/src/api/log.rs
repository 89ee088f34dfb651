//! The log file of a Collector.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds;
use crate::text::{LogPath, Quantity};

/// The log file, to which each request body is appended as one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline)]
pub struct Log {
    /// Path of the log, relative to the data folder, ending in `.log`. Default `webhook.log`.
    pub path: LogPath,
    /// Rotation of the log. Absent: one file grows until the volume is full; then senders get 503.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotate: Option<Rotate>,
}

impl Default for Log {
    fn default() -> Self {
        Self { path: LogPath::from("webhook.log"), rotate: None }
    }
}

/// Rotation of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline)]
pub struct Rotate {
    /// Size at which the file is closed and a new one is begun. Default 64Mi. The volume must hold `keep` + 1 files
    /// of it.
    #[schemars(extend("x-kubernetes-validations" = bounds::LOG_SIZE.rules()))]
    pub size: Quantity,
    /// Number of closed files that are kept, besides the open one: 8 means at most 9 files. The oldest is deleted first.
    /// Default 8.
    #[schemars(range(min = 1, max = 1000))]
    pub keep: u16,
}

impl Default for Rotate {
    fn default() -> Self {
        Self { size: Quantity::from("64Mi"), keep: 8 }
    }
}
