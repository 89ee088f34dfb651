//! The autoscaler of a relay.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A HorizontalPodAutoscaler that sets `replicas`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = [{
    "rule": "!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",
    "message": AT_LEAST_MIN,
}]))]
pub struct Autoscaling {
    /// Minimum number of pods. Default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub min_replicas: u16,
    /// Maximum number of pods. Must not be less than `minReplicas`.
    #[schemars(range(min = 1, max = 100))]
    pub max_replicas: u16,
    /// Target for the average CPU use of the pods, in percent of their CPU request (50m unless `pod.resources` sets
    /// another). Default 70.
    #[serde(default = "most_of_it")]
    #[schemars(range(min = 1, max = 100))]
    pub cpu_utilization: u16,
}

/// Error text for `maxReplicas` below `minReplicas`.
pub(crate) const AT_LEAST_MIN: &str = "maxReplicas must not be less than minReplicas";

fn one() -> u16 {
    1
}

fn most_of_it() -> u16 {
    70
}
