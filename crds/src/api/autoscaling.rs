//! How many replicas there are when nobody says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A `HorizontalPodAutoscaler` that sets `replicas`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = [{
    "rule": "self.minReplicas <= self.maxReplicas",
    "message": AT_LEAST_MIN,
}]))]
pub struct Autoscaling {
    /// The fewest.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub min_replicas: u16,
    /// The most.
    #[schemars(range(min = 1, max = 100))]
    pub max_replicas: u16,
    /// Which share of their requested CPU the pods should use on average, in percent.
    #[serde(default = "most_of_it")]
    #[schemars(range(min = 1, max = 100))]
    pub cpu_utilization: u16,
}

/// What is wrong with a most below the fewest.
pub(crate) const AT_LEAST_MIN: &str = "maxReplicas must not be less than minReplicas";

fn one() -> u16 {
    1
}

fn most_of_it() -> u16 {
    70
}
