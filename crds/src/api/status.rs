//! State of a resource, as the operator reports it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// State of a resource, as the operator reports it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline)]
pub struct Status {
    /// Generation of the spec that the operator last reconciled. Lower than `metadata.generation`: a change is not
    /// processed yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions of the resource. `Ready` summarizes them; docs/operator.md explains each.
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// URL at which senders in the cluster reach the Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Expiry time of the listener's certificate; with several pods, the earliest. Absent: no pod has reported it, or
    /// the listener has no TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub certificate_not_after: Option<Time>,
    /// Operator installation that manages the resource, as namespace and name of its leader election Lease. Any other
    /// operator leaves the resource alone. Remove the value to hand the resource over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Number of pods that exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Label selector of the pods, in text form. Autoscalers use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Ready pods, and pods that the spec asks for, such as `1/2`. Absent while no valid spec is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<String>,
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
                "type": { "type": "string", "description": "Type of the condition, for example `Ready`." },
                "status": {
                    "type": "string", "enum": ["True", "False", "Unknown"], "description": "State of the condition: `True`, `False` or `Unknown`.",
                },
                "reason": { "type": "string", "description": "Reason for the state, as one word for programs." },
                "message": { "type": "string", "description": "Reason for the state, as text for people." },
                "lastTransitionTime": {
                    "type": "string", "format": "date-time", "description": "Time at which `status` last changed.",
                },
                "observedGeneration": {
                    "type": "integer", "format": "int64",
                    "description": "Generation of the spec to which the condition applies.",
                },
            },
        },
    })
}
