//! The Service through which senders reach the pods, and what leads to it: Ingress, HTTPRoute; and the
//! ServiceMonitor.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::map_of;
use crate::text::{AnnotationValue, DnsName, GoDuration, LabelValue, Namespace, ObjectName, SecretName};

/// Settings of the Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline, extend("x-kubernetes-validations" = [{
    "rule": "!has(self.externalTrafficPolicy) || (has(self.type) && self.type != 'ClusterIP')",
    "message": NEEDS_OUTSIDE,
}]))]
pub struct Service {
    /// Type of the Service. `ClusterIP`: reachable inside the cluster. `NodePort`: also at a port of each node.
    /// `LoadBalancer`: also through a load balancer. Default `ClusterIP`.
    #[serde(rename = "type")]
    pub kind: ServiceKind,
    /// Port of the Service. Absent: 443, or 80 without TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// Routing of traffic from outside the cluster. `Cluster`: every node accepts it. `Local`: only nodes with a pod,
    /// which then sees the sender's address, as `allowFrom` needs it. Absent: the default of Kubernetes, `Cluster`.
    /// Needs type `NodePort` or `LoadBalancer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<TrafficPolicy>,
    /// Annotations of the Service, for example for a load balancer. Absent: none.
    #[schemars(transform = map_of(64))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, AnnotationValue>,
}

/// Error text for a traffic policy of a Service that is not reachable from outside.
pub(crate) const NEEDS_OUTSIDE: &str = "externalTrafficPolicy needs type NodePort or LoadBalancer";

/// Type of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ServiceKind {
    /// Reachable inside the cluster.
    #[default]
    ClusterIP,
    /// Reachable at a port of each node, too.
    NodePort,
    /// Reachable through a load balancer, too.
    LoadBalancer,
}

/// Routing of traffic from outside the cluster. `Cluster`: every node accepts it. `Local`: only nodes with a pod,
/// which then sees the sender's address, as `allowFrom` needs it. Absent: the default of Kubernetes, `Cluster`. Needs
/// type `NodePort` or `LoadBalancer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum TrafficPolicy {
    /// Every node accepts it.
    Cluster,
    /// Only nodes with a pod accept it. The pod sees the sender's address.
    Local,
}

/// An Ingress that leads to the Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Ingress {
    /// Name of the IngressClass. Absent: the cluster's default class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_name: Option<ObjectName>,
    /// Host names of the Ingress, for example `["hooks.example.org"]`. Every path of a host leads to the Service.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "set"))]
    pub hosts: Vec<DnsName>,
    /// Annotations of the Ingress. Most controllers need one to speak TLS to the Service, for example
    /// `nginx.ingress.kubernetes.io/backend-protocol: HTTPS`. Absent: none.
    #[serde(default)]
    #[schemars(transform = map_of(64))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, AnnotationValue>,
    /// Secret with the certificate that the Ingress presents. Absent: the Ingress has no certificate of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_secret_name: Option<SecretName>,
}

/// An HTTPRoute that leads from a Gateway to the Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct HttpRoute {
    /// References to the Gateways to which the route is attached.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub parent_refs: Vec<GatewayRef>,
    /// Host names of the route, for example `["hooks.example.org"]`. Absent: those of the Gateway.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hostnames: Vec<DnsName>,
}

/// A reference to a Gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct GatewayRef {
    /// `metadata.name` of the Gateway.
    pub name: ObjectName,
    /// Namespace of the Gateway. Absent: the namespace of this resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// Name of one listener of the Gateway. Absent: all listeners.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_name: Option<ObjectName>,
}

/// A ServiceMonitor for a Prometheus operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(inline)]
pub struct Monitoring {
    /// Scrape interval of the ServiceMonitor. Default 30s.
    #[schemars(extend("x-kubernetes-validations" = crate::bounds::SCRAPE_EVERY.rules()))]
    pub interval: GoDuration,
    /// Labels of the ServiceMonitor, by which a Prometheus selects it. Absent: none.
    #[schemars(transform = map_of(64))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, LabelValue>,
}

impl Default for Monitoring {
    fn default() -> Self {
        Self { interval: GoDuration::from("30s"), labels: BTreeMap::new() }
    }
}
