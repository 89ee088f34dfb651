//! Manifests for the processes under test, as JSON, which is YAML too.

use serde_json::{Value, json};

/// Port of a relay under test.
pub const RELAY_PORT: u16 = 8443;
/// Port of a collector under test.
pub const COLLECTOR_PORT: u16 = 8080;
/// Port of the probes of a process under test.
pub const HEALTH_PORT: u16 = 9090;
/// The range that the destinations of the tests are in.
pub const LOOPBACK: &str = "127.0.0.0/8";

/// Returns a relay with HTTPS, one open source at `/`, and these destinations. Tests change it by index:
/// `relay["spec"]["listener"]["maxBodySize"] = "1Ki".into()`.
pub fn relay(destinations: impl IntoIterator<Item = Value>) -> Value {
    let destinations: Vec<Value> = destinations.into_iter().collect();
    json!({
        "apiVersion": "visnyk.dev/v1alpha1",
        "kind": "WebhookRelay",
        "metadata": {"name": "monitoring"},
        "spec": {
            "listener": {"port": RELAY_PORT, "tls": {"selfSigned": {}}},
            "spool": {"persistent": {"size": "1Gi"}},
            "sources": [{"name": "network", "path": "/", "verify": {"none": {}}}],
            "destinations": destinations,
        },
    })
}

/// Returns a collector with HTTPS.
pub fn collector() -> Value {
    json!({
        "apiVersion": "visnyk.dev/v1alpha1",
        "kind": "Collector",
        "metadata": {"name": "archive"},
        "spec": {
            "listener": {"port": COLLECTOR_PORT, "tls": {"selfSigned": {}}},
            "log": {"path": "webhook.log"},
            "access": {"anonymousIngest": {}},
        },
    })
}

/// Returns a manifest as an operator of version 9.9.9 writes it, with a hash of 64 times this digit.
pub fn by_operator(manifest: Value, hash: char) -> Value {
    let annotations = json!({
        "visnyk.dev/operator-version": "9.9.9",
        "visnyk.dev/configuration-hash": hash.to_string().repeat(64),
    });
    let mut manifest = manifest;
    manifest["metadata"]["annotations"] = annotations;
    manifest
}

/// Returns a destination on a loopback address, tried again soon and often.
pub fn destination(name: &str, url: &str) -> Value {
    json!({
        "name": name,
        "url": url,
        "network": {"allow": [LOOPBACK]},
        "timeout": "2s",
        "retry": patient(),
    })
}

/// Returns a destination that is the collector `archive` of the peers folder.
pub fn collector_destination(name: &str) -> Value {
    json!({
        "name": name,
        "collectorRef": {"name": "archive"},
        "network": {"allow": [LOOPBACK]},
        "timeout": "2s",
        "retry": patient(),
    })
}

/// Returns the same thing with other fields beside or in place of its own.
#[must_use]
pub fn with(mut thing: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    thing.as_object_mut().expect("a thing is an object").extend(fields);
    thing
}

/// Returns a retry schedule that begins soon and outlasts every outage of a test: 32 attempts in about a minute.
fn patient() -> Value {
    let waits = (0..32).map(|attempt| match attempt {
        0 => "0s",
        1..=4 => "200ms",
        _ => "2s",
    });
    json!({"schedule": waits.collect::<Vec<_>>(), "jitterPercent": 20})
}
