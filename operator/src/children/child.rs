//! A child in its wanted state. It is built without reading the cluster, and applied elsewhere.

use std::collections::BTreeSet;

use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::children::certificate_event::CertificateEvent;
use crate::children::meta::{APPLIED, Owner};

/// The kinds of children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Account of the pods. It has no rights.
    ServiceAccount,
    /// The configuration, or the public certificates of a CA.
    ConfigMap,
    /// Keys, certificates and peers.
    Secret,
    /// Address of the pods.
    Service,
    /// Rules for connections to the pods.
    NetworkPolicy,
    /// Limit of pods that may be evicted at once.
    PodDisruptionBudget,
    /// Workload of pods without volumes.
    Deployment,
    /// Workload of pods with volumes.
    StatefulSet,
    /// A pod that empties a volume.
    Job,
    /// Scaler of the number of pods.
    HorizontalPodAutoscaler,
    /// Route of an ingress controller to the pods.
    Ingress,
    /// Route of a Gateway to the pods.
    HttpRoute,
    /// Trust of a Gateway in the pods' certificate.
    BackendTlsPolicy,
    /// Metrics for a Prometheus operator.
    ServiceMonitor,
    /// A certificate from cert-manager.
    Certificate,
}

impl Kind {
    /// Every kind of child of a resource.
    pub const ALL: [Self; 15] = [
        Self::ServiceAccount,
        Self::ConfigMap,
        Self::Secret,
        Self::Service,
        Self::NetworkPolicy,
        Self::PodDisruptionBudget,
        Self::Deployment,
        Self::StatefulSet,
        Self::Job,
        Self::HorizontalPodAutoscaler,
        Self::Ingress,
        Self::HttpRoute,
        Self::BackendTlsPolicy,
        Self::ServiceMonitor,
        Self::Certificate,
    ];

    /// Returns whether a cluster may lack it.
    pub fn is_optional(self) -> bool {
        matches!(self, Self::HttpRoute | Self::BackendTlsPolicy | Self::ServiceMonitor | Self::Certificate)
    }

    /// Returns its group, version and kind.
    pub fn gvk(self) -> GroupVersionKind {
        let (group, version, kind) = match self {
            Self::ServiceAccount => ("", "v1", "ServiceAccount"),
            Self::ConfigMap => ("", "v1", "ConfigMap"),
            Self::Secret => ("", "v1", "Secret"),
            Self::Service => ("", "v1", "Service"),
            Self::NetworkPolicy => ("networking.k8s.io", "v1", "NetworkPolicy"),
            Self::PodDisruptionBudget => ("policy", "v1", "PodDisruptionBudget"),
            Self::Deployment => ("apps", "v1", "Deployment"),
            Self::StatefulSet => ("apps", "v1", "StatefulSet"),
            Self::Job => ("batch", "v1", "Job"),
            Self::HorizontalPodAutoscaler => ("autoscaling", "v2", "HorizontalPodAutoscaler"),
            Self::Ingress => ("networking.k8s.io", "v1", "Ingress"),
            Self::HttpRoute => ("gateway.networking.k8s.io", "v1", "HTTPRoute"),
            Self::BackendTlsPolicy => ("gateway.networking.k8s.io", "v1", "BackendTLSPolicy"),
            Self::ServiceMonitor => ("monitoring.coreos.com", "v1", "ServiceMonitor"),
            Self::Certificate => ("cert-manager.io", "v1", "Certificate"),
        };
        GroupVersionKind::gvk(group, version, kind)
    }

    /// Returns the resource as a client needs it. The plurals are regular but for these two.
    pub fn resource(self) -> ApiResource {
        let plural = match self {
            Self::NetworkPolicy => "networkpolicies".to_owned(),
            Self::BackendTlsPolicy => "backendtlspolicies".to_owned(),
            Self::Ingress => "ingresses".to_owned(),
            other => format!("{}s", other.gvk().kind.to_lowercase()),
        };
        ApiResource::from_gvk_with_plural(&self.gvk(), &plural)
    }
}

/// Object that a write is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// There must be no object.
    Nothing,
    /// An object that was read.
    Object {
        /// Uid of the object.
        uid: &'a str,
    },
}

impl<'a> Target<'a> {
    /// Returns the target for an object that was read.
    pub fn of(object: &'a DynamicObject) -> Self {
        Self::Object { uid: object.metadata.uid.as_deref().unwrap_or_default() }
    }
}

/// Resource version that no object has. An apply with it creates the object, or fails with a conflict if there is one.
const NEVER: &str = "1";

/// A child in its wanted state.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Kind of the child.
    pub kind: Kind,
    /// Its name; its namespace is the owner's.
    pub name: String,
    /// The whole object, as it is applied.
    pub object: Value,
    /// Events that are published when it is written.
    pub news: Vec<CertificateEvent>,
}

impl Child {
    /// Returns a child of `owner` with the fields of `body`; its metadata are the owner's matter, but for annotations
    /// and further labels in `body`.
    pub fn new(owner: &Owner, kind: Kind, name: impl Into<String>, body: Value) -> Self {
        let (name, gvk) = (name.into(), kind.gvk());
        let mut object = body;
        object["apiVersion"] = gvk.api_version().into();
        object["kind"] = gvk.kind.into();
        let metadata = &mut object["metadata"];
        metadata["name"] = name.clone().into();
        metadata["namespace"] = owner.namespace.clone().into();
        metadata["labels"] = merged(&metadata["labels"], owner.labels());
        metadata["ownerReferences"] = json!([owner.reference()]);
        let hash = format!("{:x}", Sha256::digest(canonical(&object)));
        object["metadata"]["annotations"][APPLIED] = hash[..16].into();
        Self { kind, name, object, news: Vec::new() }
    }

    /// Adds events that are published when it is written.
    pub fn with_news(self, news: Vec<CertificateEvent>) -> Self {
        Self { news, ..self }
    }

    /// Returns the hash of the wanted object.
    pub fn hash(&self) -> &str {
        self.object["metadata"]["annotations"][APPLIED].as_str().unwrap_or_default()
    }

    /// Returns the child for a Job that exists: its pods were settled when it was made, and cannot change.
    pub fn with_pods_of(&self, live: &DynamicObject) -> Self {
        let mut child = self.clone();
        for settled in ["template", "podFailurePolicy"] {
            child.object["spec"][settled] = live.data["spec"][settled].clone();
        }
        child
    }

    /// Returns the object as a client applies it, for the object that was read and no other.
    pub fn patch(&self, seen: Target<'_>) -> Result<DynamicObject, serde_json::Error> {
        let mut object = self.object.clone();
        match seen {
            Target::Nothing => object["metadata"]["resourceVersion"] = NEVER.into(),
            Target::Object { uid } => object["metadata"]["uid"] = uid.into(),
        }
        serde_json::from_value(object)
    }
}

/// Takes out the children of kinds that the cluster does not know, and returns these kinds.
pub fn take_unknown(children: &mut Vec<Child>, known: &BTreeSet<Kind>) -> BTreeSet<Kind> {
    children.extract_if(.., |child| !known.contains(&child.kind)).map(|child| child.kind).collect()
}

/// Returns the entries of both maps; those of the second win.
pub fn merged(first: &Value, second: Value) -> Value {
    let mut entries = first.as_object().cloned().unwrap_or_default();
    if let Value::Object(second) = second {
        entries.extend(second);
    }
    entries.into()
}

fn canonical(value: &Value) -> String {
    let mut sorted = value.clone();
    sorted.sort_all_objects();
    sorted.to_string()
}
