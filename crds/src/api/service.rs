//! How senders find the pods: the Service, and what may stand before it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::map_of;
use crate::text::{AnnotationValue, DnsName, GoDuration, LabelValue, Namespace, ObjectName, SecretName};

/// The Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline, extend("x-kubernetes-validations" = [{
    "rule": "!has(self.externalTrafficPolicy) || self.type != 'ClusterIP'",
    "message": NEEDS_OUTSIDE,
}]))]
pub struct Service {
    /// From where it can be reached.
    #[serde(rename = "type")]
    pub kind: ServiceKind,
    /// Its port; absent: 443, or 80 without TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// Which nodes pass on what comes from outside; absent: as Kubernetes has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<TrafficPolicy>,
    /// Its annotations.
    #[schemars(transform = map_of(64))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, AnnotationValue>,
}

/// What is wrong with a traffic policy where nothing comes from outside.
pub(crate) const NEEDS_OUTSIDE: &str = "externalTrafficPolicy needs type NodePort or LoadBalancer";

/// From where a Service can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ServiceKind {
    /// From inside the cluster.
    #[default]
    ClusterIP,
    /// From outside too, by a port of each node.
    NodePort,
    /// From outside too, by a load balancer.
    LoadBalancer,
}

/// Which nodes pass on what comes from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum TrafficPolicy {
    /// All.
    Cluster,
    /// Those with a pod, which then sees the sender's address.
    Local,
}

/// An Ingress before the Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Ingress {
    /// The IngressClass; absent: the cluster's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_name: Option<ObjectName>,
    /// Names by which senders reach it.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "set"))]
    pub hosts: Vec<DnsName>,
    /// Its annotations; how a controller is told that the Service speaks TLS is among them.
    #[serde(default)]
    #[schemars(transform = map_of(64))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, AnnotationValue>,
    /// The Secret with the certificate that it shows; absent: it has none of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_secret_name: Option<SecretName>,
}

/// An `HTTPRoute` from a Gateway to the Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct HttpRoute {
    /// The Gateways.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub parent_refs: Vec<GatewayRef>,
    /// Names by which senders reach it; absent: those of the Gateway.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hostnames: Vec<DnsName>,
}

/// A Gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct GatewayRef {
    /// Its name.
    pub name: ObjectName,
    /// Its namespace; absent: the resource's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// One of its listeners; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_name: Option<ObjectName>,
}

/// A `ServiceMonitor`, by which a Prometheus operator finds the metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline)]
pub struct Monitoring {
    /// The time between two looks.
    #[schemars(extend("x-kubernetes-validations" = crate::bounds::SCRAPE_EVERY.rules()))]
    pub interval: GoDuration,
    /// Labels by which a Prometheus chooses it.
    #[schemars(transform = map_of(64))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, LabelValue>,
}

impl Default for Monitoring {
    fn default() -> Self {
        Self { interval: GoDuration::from("30s"), labels: BTreeMap::new() }
    }
}
