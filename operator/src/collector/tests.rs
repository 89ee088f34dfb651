//! Tests of a collector's children as a whole.

use expect_test::expect_file;
use serde_json::{Value, json};

use super::*;
use crate::children::child::Kind;
use crate::testing::yaml;

fn collector(storage: &Value) -> Runnable {
    let mut resource = json!({
        "apiVersion": "visnyk.dev/v1alpha1",
        "kind": "Collector",
        "metadata": { "name": "logbook", "namespace": "ships", "uid": "u-2", "generation": 3 },
        "spec": {
            "listener": { "tls": { "secretName": "logbook-certificate" } },
            "log": { "path": "ship.log" },
            "access": { "anonymousIngest": {} },
            "monitoring": {},
        },
    });
    if !storage.is_null() {
        resource["spec"]["storage"] = storage.clone();
    }
    let collector: Written<Collector> = serde_json::from_value(resource).unwrap();
    let valid = validate::collector(&collector).unwrap();
    Runnable { resource: collector, valid }
}

fn children(runnable: &Runnable) -> String {
    let owner = Owner::of(Role::Collector, &runnable.resource);
    yaml(&build::build(runnable, &owner, None, "registry.example.org/collector:1").unwrap())
}

#[test]
fn collector_becomes_these() {
    let fast = json!({ "persistent": { "size": "4Gi", "storageClassName": "fast" } });
    expect_file!["tests/persistent.yaml"].assert_eq(&children(&collector(&fast)));
}

#[test]
fn collector_with_a_users_certificate_knows_relays_by_its_own_ca() {
    let runnable = collector(&Value::Null);
    let owner = Owner::of(Role::Collector, &runnable.resource);
    let (names, now) =
        (certificates::own_names(&runnable.valid.listener.tls), "2026-11-24T12:00:00Z".parse().unwrap());
    let trust =
        certificates::wanted(&owner, &certificates::StoredCertificates::default(), names, now).unwrap();
    let children = build::build(&runnable, &owner, Some(&trust), "image").unwrap();
    let set = children.iter().find(|child| child.kind == Kind::StatefulSet).unwrap();
    let args = set.object["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
    assert!(args.contains("--client-ca=/etc/visnyk/tls/ca.crt") && !args.contains("--tls-dir"), "{args}");
    let server = children.iter().find(|child| child.name == "logbook-collector-tls").unwrap();
    let files: Vec<&String> = server.object["data"].as_object().unwrap().keys().collect();
    assert_eq!(files, ["ca.crt"]);
}

#[test]
fn way_in_for_anybody_leads_to_the_collector() {
    let mut runnable = collector(&Value::Null);
    let ways = json!({ "ingress": { "hosts": ["logbook.example.org"] }, "httpRoute": { "parentRefs": [{ "name": "gate" }] } });
    let spec = &mut runnable.resource.resource_mut().spec;
    spec.ingress = serde_json::from_value(ways["ingress"].clone()).unwrap();
    spec.http_route = serde_json::from_value(ways["httpRoute"].clone()).unwrap();
    let owner = Owner::of(Role::Collector, &runnable.resource);
    let children = build::build(&runnable, &owner, None, "image").unwrap();
    let backend = |kind, pointer| {
        let way = children.iter().find(|child| child.kind == kind).unwrap();
        way.object.pointer(pointer).unwrap().clone()
    };
    let service = backend(Kind::Ingress, "/spec/rules/0/http/paths/0/backend/service");
    assert_eq!(service, json!({ "name": "logbook-collector", "port": { "number": 443 } }));
    let service = backend(Kind::HttpRoute, "/spec/rules/0/backendRefs/0");
    assert_eq!(service, json!({ "name": "logbook-collector", "port": 443 }));
}

#[test]
fn collector_has_a_volume_unless_it_says_otherwise() {
    assert!(children(&collector(&Value::Null)).contains("storage: 9248Mi"));
    let ephemeral = children(&collector(&json!({ "ephemeral": {} })));
    assert!(ephemeral.contains("emptyDir: {}") && !ephemeral.contains("volumeClaimTemplates"));
}
