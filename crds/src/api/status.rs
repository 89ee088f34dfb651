//! What the operator says about a resource.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What the operator says about a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline)]
pub struct Status {
    /// The generation of the spec that was last looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What holds and what does not; `Ready` sums it up.
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// Where senders in the cluster connect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When the certificate that the listener shows expires. Of several pods the earliest; absent while no pod says so,
    /// and without TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub certificate_not_after: Option<Time>,
    /// Operator installation that manages the resource, as namespace and name of its leader election Lease. Any other
    /// operator leaves the resource alone. Remove the value to hand the resource over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// How many pods there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Which pods those are, as a label selector; autoscalers use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}

fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": { "type": "string", "description": "What it is about." },
                "status": {
                    "type": "string", "enum": ["True", "False", "Unknown"], "description": "Whether it holds.",
                },
                "reason": { "type": "string", "description": "Why, in a word." },
                "message": { "type": "string", "description": "Why, for people." },
                "lastTransitionTime": {
                    "type": "string", "format": "date-time", "description": "When that last changed.",
                },
                "observedGeneration": {
                    "type": "integer", "format": "int64",
                    "description": "The generation of the spec that it is about.",
                },
            },
        },
    })
}
