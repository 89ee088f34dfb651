//! Services: one name for all pods, one for each, and the port of their metrics. Also the pods' ServiceAccount.

use serde_json::{Value, json};
use visnyk_crds::api::{Monitoring, ServiceKind, TrafficPolicy};
use visnyk_crds::contract::HEALTH_PORT;

use super::{Scheme, Workload};
use crate::children::child::{Child, Kind, merged};
use crate::children::meta::Owner;

/// Returns the names of the Service inside the cluster, the shortest first.
pub fn dns_names(owner: &Owner) -> Vec<String> {
    let (name, namespace) = (owner.base(), &owner.namespace);
    vec![
        name.clone(),
        format!("{name}.{namespace}"),
        format!("{name}.{namespace}.svc"),
        format!("{name}.{namespace}.svc.cluster.local"),
    ]
}

/// Returns the names of each pod inside the cluster, the shortest first. One asterisk stands for all pods, so that
/// scaling makes no new certificate. The name without its namespace is left out: no verifier takes an asterisk before a
/// single label.
pub fn pod_names(owner: &Owner) -> Vec<String> {
    let (name, namespace) = (owner.child("pods"), &owner.namespace);
    vec![
        format!("*.{name}.{namespace}"),
        format!("*.{name}.{namespace}.svc"),
        format!("*.{name}.{namespace}.svc.cluster.local"),
    ]
}

/// Returns the port of the Service.
pub fn service_port(service: &visnyk_crds::api::Service, scheme: Scheme) -> u16 {
    service.port.unwrap_or_else(|| scheme.usual_port())
}

/// Returns the URL of the Service inside the cluster.
pub fn url(owner: &Owner, scheme: Scheme, port: u16) -> String {
    let host = format!("{}://{}.{}.svc", scheme.name(), owner.base(), owner.namespace);
    if port == scheme.usual_port() { format!("{host}/") } else { format!("{host}:{port}/") }
}

/// Returns the Service with one address for all pods that are ready.
pub fn service(workload: &Workload<'_>) -> Child {
    let (wanted, scheme) = (workload.service, workload.scheme.name());
    let port = service_port(wanted, workload.scheme);
    let kind = match wanted.kind {
        ServiceKind::ClusterIP => "ClusterIP",
        ServiceKind::NodePort => "NodePort",
        ServiceKind::LoadBalancer => "LoadBalancer",
    };
    let mut body = json!({
        "metadata": { "annotations": wanted.annotations },
        "spec": {
            "type": kind,
            "selector": workload.owner.pods(),
            "ports": [{
                "name": scheme, "port": port, "targetPort": scheme, "protocol": "TCP", "appProtocol": scheme,
            }],
        },
    });
    if let Some(policy) = wanted.external_traffic_policy {
        body["spec"]["externalTrafficPolicy"] = match policy {
            TrafficPolicy::Cluster => "Cluster".into(),
            TrafficPolicy::Local => "Local".into(),
        };
    }
    Child::new(workload.owner, Kind::Service, workload.owner.base(), body)
}

/// Makes the Service lead to pods that are not ready, too.
pub fn publish_not_ready(children: &mut [Child], owner: &Owner) {
    let is_way_in = |child: &&mut Child| child.kind == Kind::Service && child.name == owner.base();
    for service in children.iter_mut().filter(is_way_in) {
        let mut body = service.object.clone();
        body["spec"]["publishNotReadyAddresses"] = true.into();
        *service = Child::new(owner, Kind::Service, owner.base(), body);
    }
}

/// Returns the headless Service with a name for each pod, ready or not, and the port of their metrics.
pub fn pods_service(workload: &Workload<'_>) -> Child {
    let scheme = workload.scheme.name();
    let body = json!({
        "metadata": { "labels": metrics_label() },
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": true,
            "selector": workload.owner.pods(),
            "ports": [
                { "name": scheme, "port": workload.port, "targetPort": scheme, "protocol": "TCP" },
                { "name": "health", "port": HEALTH_PORT, "targetPort": "health", "protocol": "TCP" },
            ],
        },
    });
    Child::new(workload.owner, Kind::Service, workload.owner.child("pods"), body)
}

/// Returns the `ServiceMonitor` that reads metrics by that Service.
pub fn service_monitor(owner: &Owner, wanted: &Monitoring) -> Child {
    let body = json!({
        "metadata": { "labels": wanted.labels },
        "spec": {
            "selector": { "matchLabels": merged(&owner.pods(), metrics_label()) },
            "endpoints": [{ "port": "health", "path": "/metrics", "interval": wanted.interval }],
        },
    });
    Child::new(owner, Kind::ServiceMonitor, owner.base(), body)
}

/// Returns the ServiceAccount of the pods: it may do nothing, and its token is not even mounted.
pub fn service_account(owner: &Owner) -> Child {
    let body = json!({ "automountServiceAccountToken": false });
    Child::new(owner, Kind::ServiceAccount, owner.base(), body)
}

/// Tells the one Service with metrics from the other.
fn metrics_label() -> Value {
    json!({ "visnyk.dev/metrics": "true" })
}
