//! What a collector becomes, whole.

use expect_test::expect_file;
use serde_json::{Value, json};

use super::*;
use crate::testing::{every_kind, yaml};

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
    let collector: Collector = serde_json::from_value(resource).unwrap();
    let valid = validate::collector(&collector).unwrap();
    Runnable { collector, valid }
}

fn children(runnable: &Runnable) -> String {
    let owner = Owner::of(Role::Collector, &runnable.collector);
    yaml(&build::build(runnable, &owner, "registry.example.org/collector:1", &every_kind()).unwrap())
}

#[test]
fn collector_becomes_these() {
    let fast = json!({ "persistent": { "size": "4Gi", "storageClassName": "fast" } });
    expect_file!["tests/persistent.yaml"].assert_eq(&children(&collector(&fast)));
}

#[test]
fn collector_has_a_volume_unless_it_says_otherwise() {
    assert!(children(&collector(&Value::Null)).contains("storage: 9248Mi"));
    let ephemeral = children(&collector(&json!({ "ephemeral": {} })));
    assert!(ephemeral.contains("emptyDir: {}") && !ephemeral.contains("volumeClaimTemplates"));
}
