//! Settings of the pods. Only the operator reads them.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Amount, Verbatim, map_of};
use crate::text::{AnnotationValue, Image, LabelValue, ObjectName, QUALIFIED_NAME, SecretName};

/// Settings of the pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline)]
pub struct Pod {
    /// CPU and memory of the container. Absent: requests `cpu: 50m`, `memory: 64Mi`, limit `memory: 512Mi`. A
    /// resource that is set here, as request or limit, has no default beside it: with `limits: {memory: 256Mi}` alone
    /// the request `cpu: 50m` stays, and Kubernetes makes the memory request equal to the limit.
    #[serde(skip_serializing_if = "super::is_default")]
    pub resources: Resources,
    /// Labels that a node must have to run the pods. Absent: any node.
    #[schemars(transform = map_of(64))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, LabelValue>,
    /// Tolerations of node taints, in the form of a pod's `spec.tolerations`. Absent: none.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Verbatim>,
    /// Affinity rules in the form of a pod's `spec.affinity`. Absent: replicas prefer different nodes. The pods have
    /// the labels `app.kubernetes.io/name: visnyk-relay` (or `visnyk-collector`) and `app.kubernetes.io/instance:
    /// <name>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Verbatim>,
    /// Spread of the replicas, in the form of a pod's `spec.topologySpreadConstraints`, with a `labelSelector` for the
    /// pods' labels (see `affinity`). Absent: none. Each pair of `topologyKey` and `whenUnsatisfiable` is allowed once.
    #[schemars(length(max = 16), transform = spread)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topology_spread_constraints: Vec<Verbatim>,
    /// Name of the `PriorityClass` of the pods. Absent: the cluster's default class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<ObjectName>,
    /// Secrets for pulling the image from a private registry. Absent: none.
    #[schemars(length(max = 16), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name"],
    ))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<ImagePullSecret>,
    /// Labels of the pods. Labels that the operator sets are not replaced. Absent: none.
    #[schemars(transform = map_of(64))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, LabelValue>,
    /// Annotations of the pods. Annotations that the operator sets are not replaced. Absent: none.
    #[schemars(transform = map_of(64))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, AnnotationValue>,
    /// Container image of this resource's pods. Absent: the image that the operator was started with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
}

/// CPU and memory of the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline)]
pub struct Resources {
    /// Requests by resource, for example `{cpu: 200m, memory: 128Mi}`. Absent: those of the operator.
    #[schemars(transform = map_of(16))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Amount>,
    /// Limits by resource, for example `{memory: 1Gi}`. Absent: those of the operator. A container that uses
    /// more memory than its limit is killed.
    #[schemars(transform = map_of(16))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, Amount>,
}

/// A Secret for pulling images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ImagePullSecret {
    /// Name of the Secret, in the resource's namespace.
    pub name: SecretName,
}

/// Describes the two fields that make a constraint unique. An API server answers two equal ones with an internal
/// error.
fn spread(list: &mut Schema) {
    list.insert("x-kubernetes-list-type".into(), "map".into());
    list.insert("x-kubernetes-list-map-keys".into(), json!(["topologyKey", "whenUnsatisfiable"]));
    list.insert(
        "items".into(),
        json!({
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": true,
            "required": ["maxSkew", "topologyKey", "whenUnsatisfiable"],
            "properties": {
                "maxSkew": {
                    "type": "integer", "minimum": 1, "maximum": i32::MAX,
                    "description": "Maximum difference between the numbers of pods in two domains, at least 1.",
                },
                "topologyKey": {
                    "type": "string", "pattern": QUALIFIED_NAME.pattern, "maxLength": QUALIFIED_NAME.max_length,
                    "description": "Label of nodes. Nodes with the same value of this label form one domain, for example a zone.",
                },
                "whenUnsatisfiable": {
                    "type": "string", "enum": ["DoNotSchedule", "ScheduleAnyway"],
                    "description": "Handling of a pod that would break the constraint: `DoNotSchedule` or `ScheduleAnyway`.",
                },
            },
        }),
    );
}
