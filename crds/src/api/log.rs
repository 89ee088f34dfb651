//! The collector's log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds;
use crate::text::{LogPath, Quantity};

/// The file that gets a line per body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline)]
pub struct Log {
    /// Relative to the data folder, ending in `.log`.
    pub path: LogPath,
    /// When the file is closed and a new one begun; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotate: Option<Rotate>,
}

impl Default for Log {
    fn default() -> Self {
        Self { path: LogPath::from("webhook.log"), rotate: None }
    }
}

/// When the log is closed and a new one begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline)]
pub struct Rotate {
    /// How much a file may hold.
    #[schemars(extend("x-kubernetes-validations" = bounds::LOG_SIZE.rules()))]
    pub size: Quantity,
    /// How many closed files are kept besides the open one; older ones are removed.
    #[schemars(range(min = 1, max = 1000))]
    pub keep: u16,
}

impl Default for Rotate {
    fn default() -> Self {
        Self { size: Quantity::from("64Mi"), keep: 8 }
    }
}
