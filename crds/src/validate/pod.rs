//! Validates the fields that only the operator reads. Fields with an open schema are read here as Kubernetes reads
//! them.

use k8s_openapi::api::core::v1::{Affinity, Toleration, TopologySpreadConstraint};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::check_form;
use crate::api::{Ingress, Monitoring, NEEDS_OUTSIDE, Pod, Service, ServiceKind, Verbatim};
use crate::bounds;
use crate::problem::{FieldPath, Problems};
use crate::text::{Form, QUALIFIED_NAME};

pub(super) fn service(service: &Service, place: &FieldPath, problems: &mut Problems) {
    if service.kind == ServiceKind::ClusterIP && service.external_traffic_policy.is_some() {
        problems.add(place.clone(), NEEDS_OUTSIDE);
    }
    names(QUALIFIED_NAME, service.annotations.keys(), &place.field("annotations"), problems);
}

pub(super) fn ingress(ingress: Option<&Ingress>, place: &FieldPath, problems: &mut Problems) {
    if let Some(Ingress { annotations, .. }) = ingress {
        names(QUALIFIED_NAME, annotations.keys(), &place.field("annotations"), problems);
    }
}

pub(super) fn monitoring(monitoring: Option<&Monitoring>, place: &FieldPath, problems: &mut Problems) {
    if let Some(Monitoring { interval, labels }) = monitoring {
        problems.note(place.field("interval"), bounds::SCRAPE_EVERY.check(interval));
        names(QUALIFIED_NAME, labels.keys(), &place.field("labels"), problems);
    }
}

pub(super) fn pod(pod: &Pod, place: &FieldPath, problems: &mut Problems) {
    if let Some(affinity) = &pod.affinity {
        read::<Affinity>(affinity, &place.field("affinity"), problems);
    }
    for (index, toleration) in pod.tolerations.iter().enumerate() {
        read::<Toleration>(toleration, &place.field("tolerations").item(index), problems);
    }
    for (index, constraint) in pod.topology_spread_constraints.iter().enumerate() {
        let at = place.field("topologySpreadConstraints").item(index);
        read::<TopologySpreadConstraint>(constraint, &at, problems);
    }
    names(QUALIFIED_NAME, pod.node_selector.keys(), &place.field("nodeSelector"), problems);
    names(QUALIFIED_NAME, pod.labels.keys(), &place.field("labels"), problems);
    names(QUALIFIED_NAME, pod.annotations.keys(), &place.field("annotations"), problems);
    let resources = place.field("resources");
    names(QUALIFIED_NAME, pod.resources.requests.keys(), &resources.field("requests"), problems);
    names(QUALIFIED_NAME, pod.resources.limits.keys(), &resources.field("limits"), problems);
}

fn names<'a>(
    form: Form,
    names: impl Iterator<Item = &'a String>,
    place: &FieldPath,
    problems: &mut Problems,
) {
    for name in names {
        check_form(form, name, &place.field(name), problems);
    }
}

/// Reads a part of a pod's spec as its Kubernetes type, and names the fields that this type does not know.
fn read<T: DeserializeOwned + Serialize>(given: &Verbatim, place: &FieldPath, problems: &mut Problems) {
    let given = Value::Object(given.0.clone());
    match serde_json::from_value::<T>(given.clone()) {
        Ok(read) => {
            unknown(&given, &serde_json::to_value(read).unwrap_or_default(), place, problems);
        }
        Err(error) => problems.add(place.clone(), error.to_string()),
    }
}

/// Adds each field that was given and not read, an empty one too: an API server refuses it.
fn unknown(given: &Value, understood: &Value, place: &FieldPath, problems: &mut Problems) {
    match (given, understood) {
        (Value::Object(fields), _) => {
            for (name, value) in fields {
                match understood.get(name) {
                    Some(known) => unknown(value, known, &place.field(name), problems),
                    None => problems.add(place.field(name), "unknown field"),
                }
            }
        }
        (Value::Array(items), Value::Array(known)) => {
            for (index, (item, known)) in items.iter().zip(known).enumerate() {
                unknown(item, known, &place.item(index), problems);
            }
        }
        _ => {}
    }
}
