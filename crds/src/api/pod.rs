//! What a user may say about the pods; none of it is the process's business.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Amount, Verbatim, map_of};
use crate::text::{AnnotationValue, Image, LabelValue, ObjectName, QUALIFIED_NAME, SecretName};

/// Overrides for the pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline)]
pub struct Pod {
    /// What the container is given; what is not said here has a modest default.
    #[serde(skip_serializing_if = "super::is_default")]
    pub resources: Resources,
    /// Labels that a node must have.
    #[schemars(transform = map_of(64))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, LabelValue>,
    /// Taints of nodes that do not keep the pods away, as in a pod's spec.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Verbatim>,
    /// Nodes and pods to be near or far, as in a pod's spec; absent: replicas avoid each other's nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Verbatim>,
    /// How replicas are spread, as in a pod's spec. Each `topologyKey` may stand once with each `whenUnsatisfiable`.
    #[schemars(length(max = 16), transform = spread)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topology_spread_constraints: Vec<Verbatim>,
    /// Which pods go first when a node is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<ObjectName>,
    /// Secrets for pulling the image.
    #[schemars(length(max = 16), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name"],
    ))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<ImagePullSecret>,
    /// Labels of the pods; those that the operator sets stay.
    #[schemars(transform = map_of(64))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, LabelValue>,
    /// Annotations of the pods; those that the operator sets stay.
    #[schemars(transform = map_of(64))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, AnnotationValue>,
    /// Another image than the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
}

/// What a container is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline)]
pub struct Resources {
    /// The least, by resource: `cpu`, `memory`.
    #[schemars(transform = map_of(16))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Amount>,
    /// The most, by resource.
    #[schemars(transform = map_of(16))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, Amount>,
}

/// A Secret for pulling images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ImagePullSecret {
    /// Name of the Secret.
    pub name: SecretName,
}

/// Describes the fields that tell one constraint from another. An API server answers two alike with an internal error.
fn spread(list: &mut Schema) {
    list.insert("x-kubernetes-list-type".into(), "map".into());
    list.insert("x-kubernetes-list-map-keys".into(), json!(["topologyKey", "whenUnsatisfiable"]));
    list.insert(
        "items".into(),
        json!({
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": true,
            "required": ["topologyKey", "whenUnsatisfiable"],
            "properties": {
                "topologyKey": {
                    "type": "string", "pattern": QUALIFIED_NAME.pattern, "maxLength": QUALIFIED_NAME.max_length,
                    "description": "Label of nodes. Nodes with the same value of it are one place.",
                },
                "whenUnsatisfiable": {
                    "type": "string", "enum": ["DoNotSchedule", "ScheduleAnyway"],
                    "description": "What becomes of a pod that would be placed too unevenly.",
                },
            },
        }),
    );
}
