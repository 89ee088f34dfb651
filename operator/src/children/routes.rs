//! Ingress and routes of a Gateway, where the resource asks for them.

use serde_json::{Value, json};
use visnyk_crds::api::{HttpRoute, Ingress};
use visnyk_crds::valid::ListenerTls;

use super::Workload;
use super::services::service_port;
use crate::children::child::{Child, Kind};

/// Returns the Ingress and the routes that are asked for.
pub fn ways_in(
    workload: &Workload<'_>,
    ingress: Option<&Ingress>,
    route: Option<&HttpRoute>,
    tls: &ListenerTls,
) -> impl Iterator<Item = Child> {
    let ingress = ingress.map(|wanted| self::ingress(workload, wanted));
    let routes = route.map(|wanted| routes(workload, wanted, tls));
    ingress.into_iter().chain(routes.into_iter().flatten())
}

/// Returns the Ingress: every path of its hosts.
fn ingress(workload: &Workload<'_>, wanted: &Ingress) -> Child {
    let port = service_port(workload.service, workload.scheme);
    let backend = json!({ "service": { "name": workload.owner.base(), "port": { "number": port } } });
    let rules: Vec<Value> = wanted
        .hosts
        .iter()
        .map(|host| {
            let paths = json!([{ "path": "/", "pathType": "Prefix", "backend": backend }]);
            json!({ "host": host, "http": { "paths": paths } })
        })
        .collect();
    let mut body = json!({
        "metadata": { "annotations": wanted.annotations },
        "spec": { "rules": rules },
    });
    if let Some(class) = &wanted.class_name {
        body["spec"]["ingressClassName"] = class.0.clone().into();
    }
    if let Some(secret) = &wanted.tls_secret_name {
        body["spec"]["tls"] = json!([{ "hosts": wanted.hosts, "secretName": secret }]);
    }
    Child::new(workload.owner, Kind::Ingress, workload.owner.base(), body)
}

/// Returns the `HTTPRoute`, and the policy by which the Gateway trusts pods with a certificate by their own CA.
fn routes(workload: &Workload<'_>, wanted: &HttpRoute, tls: &ListenerTls) -> Vec<Child> {
    let (owner, port) = (workload.owner, service_port(workload.service, workload.scheme));
    let route = json!({ "spec": {
        "parentRefs": wanted.parent_refs,
        "hostnames": wanted.hostnames,
        "rules": [{ "backendRefs": [{ "name": owner.base(), "port": port }] }],
    } });
    let mut children = vec![Child::new(owner, Kind::HttpRoute, owner.base(), route)];
    if matches!(tls, ListenerTls::SelfSigned { .. }) {
        let policy = json!({ "spec": {
            "targetRefs": [{ "group": "", "kind": "Service", "name": owner.base() }],
            "validation": {
                "caCertificateRefs": [{ "group": "", "kind": "ConfigMap", "name": owner.child("ca") }],
                "hostname": format!("{}.{}.svc", owner.base(), owner.namespace),
            },
        } });
        children.push(Child::new(owner, Kind::BackendTlsPolicy, owner.base(), policy));
    }
    children
}
