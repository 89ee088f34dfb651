//! Every refusal with its text, and the check that refuses it: an API server by the schema or by a CEL rule, or only
//! the program. The rules are evaluated here by the Kubernetes dialect of CEL; the tests of the operator check the
//! same definitions with a real API server.

use expect_test::expect_file;
use kube::CustomResourceExt;
use kube_cel::Validator;
use serde_json::{Value, json};

use super::{FieldPath, Problems, schema};
use crate::manifest::{load_collector, load_relay};
use crate::{Collector, Problem, WebhookRelay};

/// Refusals that no schema can express.
const WE_ALONE: &str = "us alone";

fn relay() -> Value {
    json!({
        "apiVersion": "visnyk.dev/v1alpha1",
        "kind": "WebhookRelay",
        "metadata": { "name": "harbour", "namespace": "ships", "generation": 7 },
        "spec": {
            "listener": { "tls": {
                "selfSigned": { "dnsNames": ["harbour.example.org"] },
                "clientCa": { "secretRef": { "name": "pilots", "key": "ca.crt" } },
            } },
            "spool": { "persistent": { "size": "64Mi" } },
            "sources": [
                { "name": "open", "path": "/", "verify": { "none": {} } },
                { "name": "closed", "path": "/closed", "verify": { "bearer": { "secretRefs": [
                    { "name": "token", "key": "new" }, { "name": "token", "key": "old" },
                ] } } },
                { "name": "known", "path": "/known", "verify": { "clientCertificate": { "subjects": [
                    "CN=pilot\\, third,O=Port of \\D0\\9E", "1.2.3=#0C0161+UID=a=b", "DNS:pilot.example.org", "URI:a:b?c",
                ] } } },
            ],
            "destinations": [
                { "name": "quay", "collectorRef": { "name": "logbook" } },
                {
                    "name": "pilot",
                    "url": "https://pilot.example.org/hook?port=3",
                    "format": "CloudEvents",
                    "cloudEvents": { "mode": "Structured" },
                    "method": "PUT",
                    "headers": [
                        { "name": "X-Port", "value": "3 {id}{source} {type}, {received}" },
                        { "name": "X-Key", "secretRef": { "name": "pilot", "key": "api" } },
                    ],
                    "sign": { "hmac": {
                        "secretRefs": [{ "name": "pilot", "key": "hmac" }], "header": "X-Sig",
                        "algorithm": "SHA512", "encoding": "Base64", "prefix": "v0=",
                        "payload": "{timestamp}.{body}", "timestampHeader": "X-Time",
                    } },
                    "authorization": { "oauth2ClientCredentials": {
                        "tokenUrl": "https://login.example.org/token",
                        "clientIdRef": { "name": "pilot", "key": "id" },
                        "clientSecretRef": { "name": "pilot", "key": "secret" },
                        "scopes": ["berth:write", "tide"], "audience": "https://pilot.example.org",
                    } },
                    "tls": {
                        "caRef": { "name": "pilot", "key": "ca.crt" },
                        "pinSha256": ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="],
                        "clientCertificateRef": { "name": "harbour" },
                        "serverName": "inner.example.org",
                    },
                    "success": ["200-204", "304"],
                    "final": ["400-499"],
                    "retry": { "schedule": ["0s", "1m30s"], "jitterPercent": 0 },
                    "timeout": "500ms",
                    "concurrency": 2,
                    "rateLimit": { "events": 50, "per": "1s" },
                    "network": { "allow": ["10.1.2.3/8", "fd00::/8"] },
                    "backlog": { "size": "8Mi", "then": "Drop" },
                },
            ],
            "heartbeat": { "to": ["quay"] },
        },
    })
}

fn collector() -> Value {
    json!({
        "apiVersion": "visnyk.dev/v1alpha1",
        "kind": "Collector",
        "metadata": { "name": "logbook" },
        "spec": { "listener": { "tls": { "none": {} } }, "log": {}, "access": { "anonymousIngest": {} } },
    })
}

/// Returns a relay with all fields that only the operator reads.
fn everything() -> Value {
    let mut relay = relay();
    let persistent = json!({ "size": "64Mi", "storageClassName": "fast" });
    relay["spec"]["spool"] = json!({ "persistent": persistent, "onDelete": "Drain", "drainTimeout": "2h" });
    relay["spec"]["listener"]["tls"].as_object_mut().unwrap().remove("selfSigned");
    relay["spec"]["listener"]["tls"]["certManager"] =
        json!({ "issuerRef": { "name": "harbour-ca" }, "dnsNames": ["harbour.example.org"] });
    let operators = json!({
        "replicas": 3,
        "service": {
            "type": "LoadBalancer", "port": 8443, "externalTrafficPolicy": "Local",
            "annotations": { "example.org/pool": "outer" },
        },
        "pod": {
            "resources": { "requests": { "cpu": 1, "memory": "64Mi" }, "limits": { "memory": "1Gi" } },
            "nodeSelector": { "kubernetes.io/os": "linux" },
            "tolerations": [{ "key": "spot", "operator": "Exists", "effect": "NoSchedule" }],
            "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{ "matchExpressions": [{ "key": "disk", "operator": "Exists" }] }],
            } } },
            "topologySpreadConstraints": [{
                "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": { "matchLabels": { "tide": "high" } },
            }],
            "priorityClassName": "urgent",
            "imagePullSecrets": [{ "name": "registry" }],
            "labels": { "tide": "high" },
            "annotations": { "example.org/note": "on two\nlines" },
            "image": "registry.example.org/relay@sha256:abc",
        },
        "autoscaling": { "minReplicas": 2, "maxReplicas": 8, "cpuUtilization": 50 },
        "ingress": { "className": "outer", "hosts": ["harbour.example.org"], "tlsSecretName": "outer" },
        "httpRoute": { "parentRefs": [{ "name": "gate", "namespace": "gates", "sectionName": "https" }] },
        "monitoring": { "interval": "15s", "labels": { "release": "prometheus" } },
    });
    for (field, value) in operators.as_object().unwrap() {
        relay["spec"][field] = value.clone();
    }
    // Through a Gateway no certificate comes.
    relay["spec"]["sources"].as_array_mut().unwrap().pop();
    relay["spec"]["destinations"][1] = json!({
        "name": "pilot", "service": { "name": "pilots", "namespace": "port", "port": 8080, "path": "/hook?a=b" },
    });
    relay
}

/// Returns the manifest with one field changed; a null removes it. A `-` at the end appends to a list.
fn with(mut manifest: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    match manifest.pointer_mut(parent).unwrap() {
        Value::Object(fields) if value.is_null() => drop(fields.remove(field)),
        Value::Object(fields) => drop(fields.insert(field.to_owned(), value)),
        Value::Array(items) if field == "-" => items.push(value),
        Value::Array(items) => items[field.parse::<usize>().unwrap()] = value,
        other => panic!("{parent} is {other}"),
    }
    manifest
}

/// Returns the check by which an API server refuses the manifest.
fn refused_by<K: CustomResourceExt>(manifest: &Value) -> &'static str {
    let mut problems = Problems::default();
    schema::check(schema::spec_schema::<K>(), &manifest["spec"], &FieldPath::of("spec"), &mut problems);
    if !problems.is_empty() {
        return "the schema";
    }
    let definition = serde_json::to_value(schema::definition::<K>()).unwrap();
    let whole = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    if Validator::new().validate(whole, manifest, None).is_err() { "a rule" } else { WE_ALONE }
}

/// Returns each mistake with the check that refuses it and our text.
fn refusals<K: CustomResourceExt, V: std::fmt::Debug>(
    base: &Value,
    load: impl Fn(&str, Option<&str>) -> Result<V, Vec<Problem>>,
    mistakes: &[(&str, Value)],
) -> String {
    let refusals = mistakes.iter().map(|(pointer, value)| {
        let manifest = with(base.clone(), pointer, value.clone());
        let problems = load(&manifest.to_string(), None).expect_err(pointer);
        let value = value.to_string();
        let shown = if value.len() > 100 { "(long)" } else { &value };
        format!("{pointer} = {shown}\n  refused by {}\n{}", refused_by::<K>(&manifest), indented(&problems))
    });
    refusals.collect::<Vec<_>>().join("\n")
}

fn indented(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |lines, problem| lines + &format!("    {problem}\n"))
}

#[test]
fn a_valid_manifest_passes_every_rule() {
    for manifest in [relay(), everything()] {
        assert_eq!(refused_by::<WebhookRelay>(&manifest), WE_ALONE);
        load_relay(&manifest.to_string(), None).unwrap();
    }
    assert_eq!(refused_by::<Collector>(&collector()), WE_ALONE);
}

#[test]
fn listener_and_spool_mistakes_are_named() {
    let mistakes = [
        ("/spec/listener", Value::Null),
        ("/spec/listener/port", json!(0)),
        ("/spec/listener/port", json!(8081)),
        ("/spec/listener/port", json!("8443")),
        ("/spec/listener/port", json!(84.5)),
        ("/spec/listener/maxBodySize", json!("33Mi")),
        ("/spec/listener/maxBodySize", json!("1.5Mi")),
        ("/spec/listener/maxBodySize", json!(1024)),
        ("/spec/listener/tls", json!({})),
        ("/spec/listener/tls/none", json!({})),
        ("/spec/listener/tls", json!({ "secretName": "../keys" })),
        ("/spec/listener/tls/selfSigned/dnsNames/-", json!("10.0.0.1")),
        ("/spec/listener/tls/selfSigned/dnsNames/-", json!("harbour.example.org")),
        ("/spec/listener/tls/selfSigned/dnsNames/-", json!("Harbour")),
        ("/spec/listener/prot", json!(1)),
        ("/spec/listener/tls", json!({ "none": { "really": true } })),
        ("/spec/spool", json!({})),
        ("/spec/spool/ephemeral", json!({})),
        ("/spec/spool/persistent", json!({})),
        ("/spec/spool/persistent/size", json!("31Mi")),
        ("/spec/spool", json!({ "ephemeral": { "size": "99999Ti" } })),
        ("/spec/spool/retainRemoved", json!("-1h")),
        ("/spec/spool/retainRemoved", json!("9999999h")),
        ("/spec/spool/drainTimeout", json!("0s")),
        ("/spec/spool/drainTimeout", json!("169h")),
        ("/spec/spool", json!({ "ephemeral": {}, "onDelete": "Drain" })),
        ("/spec/listener/maxBodySize", json!("8Mi")),
        ("/spec/httpRoute", json!({ "parentRefs": [{ "name": "gate" }] })),
    ];
    let refusals = refusals::<WebhookRelay, _>(&relay(), load_relay, &mistakes);
    expect_file!["mistakes/listener_and_spool.txt"].assert_eq(&refusals);
}

#[test]
fn source_mistakes_are_named() {
    let bearer = "/spec/sources/1/verify/bearer/secretRefs";
    let verify = |way: &str, fields: Value| {
        let secret = json!([{ "name": "a", "key": "b" }]);
        let fields = if way == "payPal" { fields } else { with(fields, "/secretRefs", secret) };
        ("/spec/sources/1/verify", json!({ way: fields }))
    };
    let mistakes = [
        ("/spec/sources", json!([])),
        ("/spec/sources", json!("all")),
        ("/spec/sources/1/name", json!("open")),
        ("/spec/sources/1/name", json!("Closed")),
        ("/spec/sources/1/name", Value::Null),
        ("/spec/sources/1/path", json!("/")),
        ("/spec/sources/1/path", json!("/a/../b")),
        ("/spec/sources/1/path", json!("closed")),
        ("/spec/sources/1/verify", Value::Null),
        ("/spec/sources/1/verify", json!({})),
        ("/spec/sources/1/verify/none", json!({})),
        (bearer, json!([])),
        (bearer, json!([{ "name": "token", "key": "../new" }])),
        (bearer, json!([{ "name": "a", "key": "b" }, { "name": "a", "key": "b" }])),
        verify("stripe", json!({ "tolerance": "25h" })),
        verify("stripe", json!({ "tolerance": "0s" })),
        ("/spec/sources/1/verify", json!({ "github": { "secretRefs": [] } })),
        verify("payPal", json!({ "webhookId": "4WJ/..", "environment": "Test" })),
        verify("payPal", json!({ "webhookId": "4WJ", "tolerance": "169h" })),
        verify("twilio", json!({ "publicUrl": "https://x.example.org/?a=b" })),
        verify("hmac", json!({ "header": "X Sig", "algorithm": "MD5" })),
        verify("hmac", json!({ "header": "X-Sig", "payload": "{body}{body}" })),
        verify("hmac", json!({ "header": "X-Sig", "payload": "{url}{body}" })),
        verify("hmac", json!({ "header": "X-Sig", "payload": "{timestamp}{body}" })),
        verify("hmac", json!({ "header": "X-Sig", "timestampHeader": "X-Time" })),
        ("/spec/listener/tls/clientCa", Value::Null),
        (
            "/spec/listener/tls",
            json!({ "none": {}, "clientCa": { "secretRef": { "name": "a", "key": "b" } } }),
        ),
        ("/spec/listener/tls/clientCa", json!({ "secretRef": { "name": "a" } })),
        ("/spec/sources/2/verify/clientCertificate", json!({ "subjects": [] })),
        ("/spec/sources/2/verify/clientCertificate", json!({ "subjects": ["pilot"] })),
        ("/spec/sources/2/verify/clientCertificate", json!({ "subjects": ["CN=pilot, O=Port"] })),
        (
            "/spec/sources/2/verify/clientCertificate",
            json!({ "subjects": ["cn=pilot", "CN=\"pilot\"", "CN=a\\"] }),
        ),
        (
            "/spec/sources/2/verify/clientCertificate",
            json!({ "subjects": ["DNS:*.example.org", "URI:", "CN=\u{411}"] }),
        ),
        ("/spec/sources/1/allowFrom", json!(["192.0.2.0/24", "192.0.2.1", "192.0.2.0/24"])),
        ("/spec/sources/1/allowFrom", json!(["192.0.2.0/33"])),
        ("/spec/listener/trustedProxies", json!(["10.0.0.0/8", "proxy.example.org"])),
        ("/spec/listener/trustedProxies", json!(["10.0.0.0/33"])),
        ("/spec/sources/1/forwardHeaders", json!({ "allow": ["X-Real-IP", "Cookie", "x-my-signature"] })),
        ("/spec/sources/1/forwardHeaders", json!({ "deny": ["X-Request Id"] })),
        ("/spec/sources/1/deduplicate", json!({ "window": "169h" })),
        ("/spec/sources/1/deduplicate", json!({ "id": "headers['X-Id'] + body.id" })),
    ];
    let refusals = refusals::<WebhookRelay, _>(&relay(), load_relay, &mistakes);
    expect_file!["mistakes/sources.txt"].assert_eq(&refusals);
}

#[test]
fn destination_mistakes_are_named() {
    let url = "/spec/destinations/1/url";
    let mistakes = [
        ("/spec/destinations", json!([])),
        ("/spec/destinations/1/name", json!("quay")),
        ("/spec/destinations/0/url", json!("https://a.example.org")),
        ("/spec/destinations/0/collectorRef", Value::Null),
        ("/spec/destinations/0/collectorRef/name", json!("../x")),
        ("/spec/destinations/0/collectorRef/namespace", json!("a.b")),
        (url, json!("ftp://pilot.example.org")),
        (url, json!("pilot.example.org/hook")),
        (url, json!("https:///hook")),
        (url, json!("https://user:secret@pilot.example.org")),
        (url, json!("https://pilot.example.org/#top")),
        (url, json!("https://pilot.example.org:99999/")),
        (url, json!("https://[::1/")),
        (url, json!("https://pilot example/")),
        ("/spec/destinations/1/format", json!("Xml")),
        ("/spec/destinations/1/retry/schedule", json!([])),
        ("/spec/destinations/1/retry/schedule", json!(vec!["0s"; 33])),
        ("/spec/destinations/1/retry/schedule", json!(["5s"])),
        ("/spec/destinations/1/retry/schedule/1", json!("169h")),
        ("/spec/destinations/1/retry/schedule/1", json!("soon")),
        ("/spec/destinations/1/retry/jitterPercent", json!(101)),
        ("/spec/destinations/1/timeout", json!("0s")),
        ("/spec/destinations/1/timeout", json!("11m")),
        ("/spec/destinations/1/concurrency", json!(0)),
        ("/spec/destinations/1/rateLimit", json!({ "events": 0 })),
        ("/spec/destinations/1/rateLimit/per", json!("0s")),
        ("/spec/destinations/1/network/allow/-", json!("10.0.0.0")),
        ("/spec/destinations/1/network/allow/-", json!("10.0.0.0/33")),
        ("/spec/destinations/1/backlog", json!({ "size": "8Mi" })),
        ("/spec/destinations/1/backlog/size", json!("1Ki")),
        ("/spec/destinations/1/backlog/size", json!("65Mi")),
        ("/spec/heartbeat/to", json!([])),
        ("/spec/heartbeat/to", json!(["quay", "sea"])),
        ("/spec/heartbeat/every", json!("25h")),
    ];
    let refusals = refusals::<WebhookRelay, _>(&relay(), load_relay, &mistakes);
    expect_file!["mistakes/destinations.txt"].assert_eq(&refusals);
}

#[test]
fn mistakes_in_what_deliveries_prove_and_carry_are_named() {
    let pilot = |field: &str| format!("/spec/destinations/1/{field}");
    let secret = || json!({ "name": "a", "key": "b" });
    let hmac = |fields: Value| json!({ "hmac": with(with(fields, "/secretRefs", json!([secret()])), "/header", json!("X-Sig")) });
    let mistakes = [
        (pilot("format"), json!("Original")),
        (pilot("cloudEvents/mode"), json!("Batch")),
        (pilot("method"), json!("GET")),
        (pilot("sign"), json!({})),
        (pilot("sign/standardWebhooks"), json!({ "secretRefs": [secret()] })),
        (pilot("sign"), json!({ "standardWebhooks": { "secretRefs": [] } })),
        (pilot("sign/hmac/secretRefs"), json!([])),
        (pilot("sign/hmac/secretRefs/-"), secret()),
        (pilot("sign"), hmac(json!({ "payload": "{timestamp}.{body}" }))),
        (pilot("sign"), hmac(json!({ "payload": "{body}{body}" }))),
        (pilot("sign"), hmac(json!({ "timestampHeader": "X-Time" }))),
        (pilot("authorization"), json!({})),
        (pilot("authorization/bearer"), json!({ "secretRef": secret() })),
        (pilot("authorization"), json!({ "bearer": {} })),
        (pilot("authorization/oauth2ClientCredentials/tokenUrl"), json!("https://a:b@login.example.org/")),
        (pilot("authorization/oauth2ClientCredentials/tokenUrl"), json!("https://login.example.org:99999/")),
        (pilot("authorization/oauth2ClientCredentials/scopes"), json!(["a b"])),
        (pilot("authorization/oauth2ClientCredentials/audience"), json!("a b")),
        (pilot("url"), json!("http://pilot.example.org/")),
        ("/spec/destinations/0/tls".to_owned(), json!({ "serverName": "a.example.org" })),
        (pilot("tls/pinSha256"), json!(["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9="])),
        (pilot("tls/pinSha256"), json!(["000102030405060708090a0b0c0d0e0f"])),
        (pilot("tls/serverName"), json!("*.example.org")),
        (pilot("headers/-"), json!({ "name": "X-Key" })),
        (pilot("headers/-"), json!({ "name": "X-Both", "value": "a", "secretRef": secret() })),
        (pilot("headers/-"), json!({ "name": "x-key", "value": "a" })),
        (pilot("headers/-"), json!({ "name": "X-Time", "value": "a" })),
        (pilot("headers/-"), json!({ "name": "Authorization", "value": "a" })),
        (pilot("headers/-"), json!({ "name": "Webhook-Id", "value": "a" })),
        (pilot("headers/-"), json!({ "name": "X-Body", "value": "{body}" })),
        (pilot("headers/-"), json!({ "name": "X-Lines", "value": "a\r\nb: c" })),
        (pilot("success"), json!([200])),
        (pilot("success"), json!(["100"])),
        (pilot("final"), json!(["404", "499-400"])),
    ];
    let mistakes = mistakes.each_ref().map(|(pointer, value)| (&pointer[..], value.clone()));
    let refusals = refusals::<WebhookRelay, _>(&relay(), load_relay, &mistakes);
    expect_file!["mistakes/deliveries.txt"].assert_eq(&refusals);
}

#[test]
fn collector_and_metadata_mistakes_are_named() {
    let mistakes = [
        ("/spec/access", Value::Null),
        ("/spec/access", json!({})),
        ("/spec/access/namespaces", json!(["a.b"])),
        ("/spec/access/namespaces", json!(["a", "a"])),
        ("/spec/log", Value::Null),
        ("/spec/log/path", json!("../webhook.log")),
        ("/spec/log/rotate", json!({ "size": "1Ki" })),
        ("/spec/log/rotate", json!({ "keep": 0 })),
        ("/metadata/name", json!("Logbook")),
        ("/metadata/name", json!("a".repeat(41))),
        ("/metadata/namespace", json!("../x")),
        ("/metadata/labels", json!({ "a": 1 })),
        ("/extra", json!(1)),
    ];
    let refusals = refusals::<Collector, _>(&collector(), load_collector, &mistakes);
    expect_file!["mistakes/collector.txt"].assert_eq(&refusals);
}

#[test]
fn way_in_on_which_nobody_could_be_let_in_is_refused() {
    let mut behind_a_proxy = collector();
    behind_a_proxy["spec"]["listener"]["tls"] = json!({ "selfSigned": {} });
    let mistakes = [
        ("/spec/ingress", json!({ "hosts": ["logbook.example.org"] })),
        ("/spec/httpRoute", json!({ "parentRefs": [{ "name": "gate" }] })),
    ];
    for (pointer, value) in &mistakes {
        let manifest = with(behind_a_proxy.clone(), pointer, value.clone());
        assert!(load_collector(&manifest.to_string(), None).is_ok(), "{pointer}");
    }
    behind_a_proxy["spec"]["access"] = json!({});
    let refusals = refusals::<Collector, _>(&behind_a_proxy, load_collector, &mistakes);
    expect_file!["mistakes/behind_a_proxy.txt"].assert_eq(&refusals);
}

#[test]
fn mistakes_in_what_only_the_operator_reads_are_named() {
    let pod = |field: &str| format!("/spec/pod/{field}");
    let spread =
        |skew: u8| json!({ "maxSkew": skew, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway" });
    let mistakes = [
        ("/spec/replicas".to_owned(), json!(101)),
        ("/spec/replicas".to_owned(), json!("2")),
        ("/spec/service/type".to_owned(), json!("ExternalName")),
        ("/spec/service/type".to_owned(), json!("ClusterIP")),
        ("/spec/service/annotations".to_owned(), json!({ "a": 1 })),
        ("/spec/autoscaling/maxReplicas".to_owned(), json!(1)),
        ("/spec/ingress/hosts".to_owned(), json!([])),
        ("/spec/ingress/annotations".to_owned(), json!({ "high tide": "yes" })),
        ("/spec/httpRoute/parentRefs".to_owned(), json!([])),
        ("/spec/monitoring/interval".to_owned(), json!("0s")),
        ("/spec/spool/onDelete".to_owned(), json!("Forget")),
        ("/spec/spool/persistent/storageClassName".to_owned(), json!("../fast")),
        ("/spec/listener/tls/certManager/issuerRef/kind".to_owned(), json!("issuer")),
        ("/spec/listener/tls/certManager/dnsNames".to_owned(), json!(["10.0.0.1"])),
        ("/spec/listener/tls/certManager/serviceNames".to_owned(), json!("None")),
        (
            "/spec/listener/tls/certManager".to_owned(),
            json!({ "issuerRef": { "name": "public" }, "serviceNames": "Omit" }),
        ),
        ("/spec/destinations/1/service/port".to_owned(), json!(0)),
        ("/spec/destinations/1/service/path".to_owned(), json!("hook")),
        ("/spec/destinations/1/service/name".to_owned(), json!("pilots.example.org")),
        ("/spec/destinations/1/url".to_owned(), json!("https://pilot.example.org/")),
        (pod("resources/requests/cpu"), json!("much")),
        (pod("resources/requests/cpu"), json!(-1)),
        (pod("resources/requests/cpu"), json!({})),
        (pod("labels/tide"), json!("high and low")),
        (pod("labels/high tide"), json!("yes")),
        (pod("labels"), json!("none")),
        (pod("tolerations/0/operator"), json!(1)),
        (pod("tolerations/0/operation"), json!("Exists")),
        (pod("affinity/nodeAffinity/required"), json!([1])),
        (pod("affinity/podAffinity"), json!("near")),
        (pod("affinity/podAffinities"), json!({})),
        (pod("topologySpreadConstraints/-"), spread(2)),
        (pod("topologySpreadConstraints/0/maxSkew"), json!(0)),
        (pod("topologySpreadConstraints/0/maxSkew"), Value::Null),
        (pod("topologySpreadConstraints/0/whenUnsatisfiable"), Value::Null),
        (pod("topologySpreadConstraints/0/minDomain"), json!(1)),
        (pod("image"), json!("two words")),
        (pod("priorityClassName"), json!("Urgent")),
    ];
    let mistakes = mistakes.each_ref().map(|(pointer, value)| (&pointer[..], value.clone()));
    let refusals = refusals::<WebhookRelay, _>(&everything(), load_relay, &mistakes);
    expect_file!["mistakes/operator.txt"].assert_eq(&refusals);
}

#[test]
fn what_must_stay_as_it_was_is_refused_by_a_rule() {
    let definition = serde_json::to_value(schema::definition::<WebhookRelay>()).unwrap();
    let whole = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let refused = |old: &Value, pointer: &str, value: Value| {
        let new = with(old.clone(), pointer, value);
        let refusal = Validator::new().validate(whole, &new, Some(old)).err()?;
        Some(refusal.to_string())
    };
    let relay = everything();
    let size = "/spec/spool/persistent/size";
    assert_eq!(refused(&relay, size, json!("65Mi")), None);
    assert!(refused(&relay, size, json!("63Mi")).unwrap().contains("cannot shrink"));
    let class = "/spec/spool/persistent/storageClassName";
    // Only the operator knows whether there is a volume yet.
    assert_eq!(refused(&relay, class, json!("slow")), None);
    assert!(refused(&relay, "/spec/spool", json!({ "ephemeral": {} })).unwrap().contains("left behind"));
    assert_eq!(refused(&relay, "/spec/spool/onDelete", json!("Retain")), None);
}

#[test]
fn the_hash_leaves_out_what_only_the_operator_reads() {
    let hash =
        |manifest: &Value| load_relay(&manifest.to_string(), None).unwrap().identity.configuration_hash;
    let mut other = everything();
    for field in ["replicas", "service", "pod", "autoscaling", "ingress", "httpRoute", "monitoring"] {
        assert!(other["spec"].as_object_mut().unwrap().remove(field).is_some(), "{field}");
    }
    other["spec"]["spool"] = json!({ "persistent": { "size": "64Mi" } });
    other["spec"]["listener"]["tls"]["certManager"] = json!({ "issuerRef": { "name": "another" } });
    assert_eq!(hash(&other), hash(&everything()));
    let larger = with(everything(), "/spec/spool/persistent/size", json!("65Mi"));
    assert_ne!(hash(&larger), hash(&everything()), "the relay reads its size");
}

#[test]
fn several_pods_cannot_deduplicate() {
    let deduplicating = with(relay(), "/spec/sources/1/deduplicate", json!({}));
    assert!(load_relay(&deduplicating.to_string(), None).is_ok());
    let mistakes = [("/spec/replicas", json!(2)), ("/spec/autoscaling", json!({ "maxReplicas": 2 }))];
    let refusals = refusals::<WebhookRelay, _>(&deduplicating, load_relay, &mistakes);
    expect_file!["mistakes/deduplication.txt"].assert_eq(&refusals);
}

#[test]
fn what_does_nothing_and_harms_nothing_is_warned_of() {
    let of_relay = |manifest: Value| load_relay(&manifest.to_string(), None).unwrap().warnings;
    assert_eq!(of_relay(everything()), []);
    let replicas = indented(&of_relay(with(everything(), "/spec/replicas", json!(9))));
    assert_eq!(replicas, "    spec.replicas: the autoscaler replaces 9 by a number from 2 to 8\n");
    let scaled = with(relay(), "/spec/autoscaling", json!({ "minReplicas": 3, "maxReplicas": 6 }));
    assert_eq!(of_relay(scaled), [], "nobody asked for the default number of replicas");
    for (field, statuses) in [("final", ["404", "204-210"]), ("success", ["200-299", "409"])] {
        let shared = with(relay(), &format!("/spec/destinations/1/{field}"), json!(statuses));
        let told = indented(&of_relay(shared));
        assert!(told.starts_with("    spec.destinations[1].final: shares a status with success"), "{told}");
    }
    let of_collector = |rotate: Value| {
        let manifest = with(collector(), "/spec/log/rotate", rotate);
        load_collector(&manifest.to_string(), None).unwrap().warnings
    };
    assert_eq!(of_collector(json!({ "size": "1Gi", "keep": 7 })), []);
    let too_large = indented(&of_collector(json!({ "size": "1Gi", "keep": 8 })));
    let told = "    spec.log.rotate: 9 files of 1073741824 bytes fill the 8589934592 bytes of storage before the oldest is \
                removed\n";
    assert_eq!(too_large, told);
}

#[test]
fn every_mistake_is_named_at_once() {
    let mut manifest = with(relay(), "/spec/destinations/1/url", json!("ftp://example.org"));
    manifest = with(manifest, "/spec/destinations/1/retries", json!(3));
    manifest = with(manifest, "/spec/sources/1/path", json!("/"));
    manifest = with(manifest, "/spec/heartbeat/to", json!(["sea"]));
    manifest = with(manifest, "/spec/spool/persistent/size", json!("1Mi"));
    // Neither can be read; what surrounds them is looked at all the same.
    manifest = with(manifest, "/spec/destinations/0/concurrency", json!("many"));
    manifest = with(manifest, "/spec/destinations/0/format", json!("Xml"));
    manifest = with(manifest, "/spec/sources/0/verify", Value::Null);
    let problems = load_relay(&manifest.to_string(), None).unwrap_err();
    expect_file!["mistakes/at_once.txt"].assert_eq(&indented(&problems));
}

#[test]
fn validated_configuration_holds_the_manifest_and_its_defaults() {
    let relay = load_relay(&relay().to_string(), None).unwrap();
    let collector = load_collector(&collector().to_string(), None).unwrap();
    expect_file!["valid.txt"].assert_eq(&format!("{relay:#?}\n{collector:#?}\n"));
}

/// Definitions had every default once, and the API server wrote them into the objects that it stored.
#[test]
fn object_with_every_default_written_in_means_the_same() {
    let valid = |manifest: &Value| load_relay(&manifest.to_string(), None).unwrap();
    for plain in [relay(), everything()] {
        let mut filled = plain.clone();
        let read: WebhookRelay = serde_json::from_value(plain.clone()).unwrap();
        filled["spec"] = serde_json::to_value(read.spec).unwrap();
        assert_eq!(filled["spec"]["destinations"][0]["timeout"], "15s");
        assert_eq!(plain["spec"]["destinations"][0]["timeout"], Value::Null);
        assert_eq!(valid(&filled), valid(&plain));
    }
}

#[test]
fn a_default_said_aloud_has_the_same_hash_and_a_change_another() {
    let hash = |manifest: Value| load_relay(&manifest.to_string(), None).unwrap().identity.configuration_hash;
    let said = with(relay(), "/spec/listener/port", json!(8443));
    let elsewhere = with(relay(), "/metadata/generation", json!(8));
    let other = with(relay(), "/spec/listener/port", json!(8444));
    assert_eq!(hash(said), hash(relay()));
    assert_eq!(hash(elsewhere), hash(relay()));
    assert_ne!(hash(other), hash(relay()));
}
