//! Support for tests of children.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::apply::satisfies::satisfies;
use crate::certificates::StoredCertificates;
use crate::certificates::trust::Wanted;
use crate::children::child::{Child, Kind};

/// Returns the kinds of a cluster that knows all.
pub fn every_kind() -> BTreeSet<Kind> {
    Kind::ALL.into()
}

/// Returns the children as documents. Each is held against the type that its kind has, so that no field is misspelt.
pub fn yaml(children: &[Child]) -> String {
    let documents = children.iter().map(|child| {
        check_type(child);
        format!("---\n{}", serde_yaml::to_string(&child.object).unwrap())
    });
    documents.collect()
}

/// Returns the stored certificates of a resource once the wanted ones were written.
pub fn kept(wanted: Wanted) -> StoredCertificates {
    StoredCertificates {
        authorities: Some(wanted.authorities.secret()),
        published: Some(wanted.authorities.bundle()),
        server: Some(wanted.server),
    }
}

fn check_type(child: &Child) {
    match child.kind {
        Kind::ServiceAccount => check::<ServiceAccount>(child),
        Kind::ConfigMap => check::<ConfigMap>(child),
        Kind::Secret => check::<Secret>(child),
        Kind::Service => check::<Service>(child),
        Kind::NetworkPolicy => check::<NetworkPolicy>(child),
        Kind::PodDisruptionBudget => check::<PodDisruptionBudget>(child),
        Kind::Deployment => check::<Deployment>(child),
        Kind::StatefulSet => check::<StatefulSet>(child),
        Kind::Job => check::<Job>(child),
        Kind::HorizontalPodAutoscaler => check::<HorizontalPodAutoscaler>(child),
        Kind::Ingress => check::<Ingress>(child),
        Kind::HttpRoute | Kind::BackendTlsPolicy | Kind::ServiceMonitor | Kind::Certificate => {}
    }
}

fn check<K: Serialize + DeserializeOwned>(child: &Child) {
    let read: K = serde_json::from_value(child.object.clone()).unwrap();
    let read: Value = serde_json::to_value(read).unwrap();
    assert!(satisfies(&read, &child.object), "{} has a field that its type does not know", child.name);
}
