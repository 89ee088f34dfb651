//! What is refused, in which words, and by whom: an API server by the schema or by a CEL rule, or just we.
//! The rules are evaluated here by the Kubernetes dialect of CEL; the tests of the operator hold the same
//! definitions against a real API server.

use expect_test::{Expect, expect};
use kube::CustomResourceExt;
use kube_cel::Validator;
use serde_json::{Value, json};

use super::{Place, Problems, schema};
use crate::manifest::{load_collector, load_relay};
use crate::{Collector, Problem, WebhookRelay};

/// Who refuses a mistake before it can reach a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// An API server, by the schema.
    Schema,
    /// An API server, by a CEL rule.
    Rule,
    /// We alone: no schema can say it.
    Us,
}
use By::{Rule, Schema, Us};

fn relay() -> Value {
    json!({
        "apiVersion": "visnyk.dev/v1alpha1",
        "kind": "WebhookRelay",
        "metadata": { "name": "harbour", "namespace": "ships", "generation": 7 },
        "spec": {
            "listener": { "tls": { "selfSigned": { "dnsNames": ["harbour.example.org"] } } },
            "spool": { "persistent": { "size": "64Mi" } },
            "sources": [
                { "name": "open", "path": "/", "verify": { "none": {} } },
                { "name": "closed", "path": "/closed", "verify": { "bearer": { "secretRefs": [
                    { "name": "token", "key": "new" }, { "name": "token", "key": "old" },
                ] } } },
            ],
            "destinations": [
                { "name": "quay", "collectorRef": { "name": "logbook" } },
                {
                    "name": "pilot",
                    "url": "https://pilot.example.org/hook?port=3",
                    "format": "Line",
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

/// The manifest with one field changed; a null takes it away. A `-` at the end appends to a list.
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

fn text(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// What an API server would say, without its words.
fn refused_by<K: CustomResourceExt>(manifest: &Value) -> By {
    let mut problems = Problems::default();
    schema::check(&schema::spec_schema::<K>(), &manifest["spec"], &Place::of("spec"), &mut problems);
    if !problems.is_empty() {
        return Schema;
    }
    let definition = serde_json::to_value(schema::definition::<K>()).unwrap();
    let whole = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    if Validator::new().validate(whole, manifest, None).is_err() { Rule } else { Us }
}

fn assert_refused<K: CustomResourceExt, V: std::fmt::Debug>(
    base: &Value,
    load: impl Fn(&str, Option<&str>) -> Result<V, Vec<Problem>>,
    table: &[(&str, Value, By, Expect)],
) {
    for (pointer, value, by, expected) in table {
        let manifest = with(base.clone(), pointer, value.clone());
        let problems = load(&manifest.to_string(), None).unwrap_err();
        expected.assert_eq(&text(&problems));
        assert_eq!(refused_by::<K>(&manifest), *by, "{pointer} = {value}");
    }
}

#[test]
fn a_valid_manifest_passes_every_rule() {
    assert_eq!(refused_by::<WebhookRelay>(&relay()), Us);
    assert_eq!(refused_by::<Collector>(&collector()), Us);
}

#[test]
fn listener_and_spool_mistakes_are_named() {
    assert_refused::<WebhookRelay, _>(
        &relay(),
        load_relay,
        &[
            (
                "/spec/listener",
                Value::Null,
                Schema,
                expect![[r#"
                spec.listener: is required
            "#]],
            ),
            (
                "/spec/listener/port",
                json!(0),
                Schema,
                expect![[r#"
                spec.listener.port: must be from 1 to 65535
            "#]],
            ),
            (
                "/spec/listener/port",
                json!("8443"),
                Schema,
                expect![[r#"
                spec.listener.port: must be a whole number, not the string "8443"
            "#]],
            ),
            (
                "/spec/listener/port",
                json!(84.5),
                Schema,
                expect![[r#"
                spec.listener.port: must be a whole number, not the number 84.5
            "#]],
            ),
            (
                "/spec/listener/maxBodySize",
                json!("33Mi"),
                Rule,
                expect![[r#"
                spec.listener.maxBodySize: must be from 1Ki to 32Mi
            "#]],
            ),
            (
                "/spec/listener/maxBodySize",
                json!("1.5Mi"),
                Schema,
                expect![[r#"
                spec.listener.maxBodySize: must be a size such as 64Mi or 2Gi: a whole number with Ki, Mi, Gi, Ti, k, M, G, T or nothing
            "#]],
            ),
            (
                "/spec/listener/maxBodySize",
                json!(1024),
                Schema,
                expect![[r#"
                spec.listener.maxBodySize: must be a string, not the number 1024
            "#]],
            ),
            (
                "/spec/listener/tls",
                json!({}),
                Rule,
                expect![[r#"
                spec.listener.tls: needs exactly one of selfSigned, secretName, none
            "#]],
            ),
            (
                "/spec/listener/tls/none",
                json!({}),
                Rule,
                expect![[r#"
                spec.listener.tls: needs exactly one of selfSigned, secretName, none
            "#]],
            ),
            (
                "/spec/listener/tls",
                json!({ "secretName": "../keys" }),
                Schema,
                expect![[r#"
                spec.listener.tls.secretName: must be the name of a Secret: small letters, digits, hyphens and dots
            "#]],
            ),
            (
                "/spec/listener/tls/selfSigned/dnsNames/-",
                json!("10.0.0.1"),
                Rule,
                expect![[r#"
                spec.listener.tls.selfSigned.dnsNames[1]: must be a name, not an address
            "#]],
            ),
            (
                "/spec/listener/tls/selfSigned/dnsNames/-",
                json!("harbour.example.org"),
                Schema,
                expect![[r#"
                spec.listener.tls.selfSigned.dnsNames[1]: repeats "harbour.example.org" of spec.listener.tls.selfSigned.dnsNames[0]
            "#]],
            ),
            (
                "/spec/listener/tls/selfSigned/dnsNames/-",
                json!("Harbour"),
                Schema,
                expect![[r#"
                spec.listener.tls.selfSigned.dnsNames[1]: must be a DNS name in small letters, such as relay.example.org or *.example.org
            "#]],
            ),
            (
                "/spec/listener/prot",
                json!(1),
                Schema,
                expect![[r#"
                spec.listener.prot: unknown field; there are maxBodySize, port, tls
            "#]],
            ),
            (
                "/spec/listener/tls",
                json!({ "none": { "really": true } }),
                Schema,
                expect![[r#"
                spec.listener.tls.none.really: unknown field; there is none here
            "#]],
            ),
            (
                "/spec/spool",
                json!({}),
                Rule,
                expect![[r#"
                spec.spool: needs exactly one of persistent, ephemeral
            "#]],
            ),
            (
                "/spec/spool/ephemeral",
                json!({}),
                Rule,
                expect![[r#"
                spec.spool: needs exactly one of persistent, ephemeral
            "#]],
            ),
            (
                "/spec/spool/persistent",
                json!({}),
                Schema,
                expect![[r#"
                spec.spool.persistent.size: is required
            "#]],
            ),
            (
                "/spec/spool/persistent/size",
                json!("31Mi"),
                Rule,
                expect![[r#"
                spec.spool.persistent.size: must be from 32Mi to 16Ti
            "#]],
            ),
            (
                "/spec/spool",
                json!({ "ephemeral": { "size": "99999Ti" } }),
                Rule,
                expect![[r#"
                spec.spool.ephemeral.size: must be from 32Mi to 16Ti
            "#]],
            ),
            (
                "/spec/spool/retainRemoved",
                json!("-1h"),
                Schema,
                expect![[r#"
                spec.spool.retainRemoved: must be a duration such as 500ms, 15s or 1h30m: whole numbers, each with h, m, s or ms
            "#]],
            ),
            (
                "/spec/spool/retainRemoved",
                json!("9999999h"),
                Rule,
                expect![[r#"
                spec.spool.retainRemoved: must be from 0s to 8760h
            "#]],
            ),
        ],
    );
}

#[test]
fn source_mistakes_are_named() {
    let bearer = "/spec/sources/1/verify/bearer/secretRefs";
    assert_refused::<WebhookRelay, _>(
        &relay(),
        load_relay,
        &[
            (
                "/spec/sources",
                json!([]),
                Schema,
                expect![[r#"
                spec.sources: must have at least 1 item
            "#]],
            ),
            (
                "/spec/sources",
                json!("all"),
                Schema,
                expect![[r#"
                spec.sources: must be a list, not the string "all"
            "#]],
            ),
            (
                "/spec/sources/1/name",
                json!("open"),
                Schema,
                expect![[r#"
                spec.sources[1].name: repeats "open" of spec.sources[0]
            "#]],
            ),
            (
                "/spec/sources/1/name",
                json!("Closed"),
                Schema,
                expect![[r#"
                spec.sources[1].name: must be a name of at most 40 small letters, digits and hyphens, beginning with a letter and not ending with a hyphen
            "#]],
            ),
            (
                "/spec/sources/1/name",
                Value::Null,
                Schema,
                expect![[r#"
                spec.sources[1].name: is required
            "#]],
            ),
            (
                "/spec/sources/1/path",
                json!("/"),
                Rule,
                expect![[r#"
                spec.sources[1].path: repeats "/" of spec.sources[0]
            "#]],
            ),
            (
                "/spec/sources/1/path",
                json!("/a/../b"),
                Schema,
                expect![[r#"
                spec.sources[1].path: must be a path that begins with a slash, of letters, digits and - . _ ~, without empty parts
            "#]],
            ),
            (
                "/spec/sources/1/path",
                json!("closed"),
                Schema,
                expect![[r#"
                spec.sources[1].path: must be a path that begins with a slash, of letters, digits and - . _ ~, without empty parts
            "#]],
            ),
            (
                "/spec/sources/1/verify",
                Value::Null,
                Schema,
                expect![[r#"
                spec.sources[1].verify: is required
            "#]],
            ),
            (
                "/spec/sources/1/verify",
                json!({}),
                Rule,
                expect![[r#"
                spec.sources[1].verify: needs exactly one of none, bearer
            "#]],
            ),
            (
                "/spec/sources/1/verify/none",
                json!({}),
                Rule,
                expect![[r#"
                spec.sources[1].verify: needs exactly one of none, bearer
            "#]],
            ),
            (
                bearer,
                json!([]),
                Schema,
                expect![[r#"
                spec.sources[1].verify.bearer.secretRefs: must have at least 1 item
            "#]],
            ),
            (
                bearer,
                json!([{ "name": "token", "key": "../new" }]),
                Schema,
                expect![[r#"
                spec.sources[1].verify.bearer.secretRefs[0].key: must be a key of a Secret: letters, digits, hyphens, underscores and dots, not two dots first
            "#]],
            ),
            (
                bearer,
                json!([{ "name": "a", "key": "b" }, { "name": "a", "key": "b" }]),
                Schema,
                expect![[r#"
                    spec.sources[1].verify.bearer.secretRefs[1]: repeats "a" with "b" of spec.sources[1].verify.bearer.secretRefs[0]
                "#]],
            ),
        ],
    );
}

#[test]
fn destination_mistakes_are_named() {
    let url = "/spec/destinations/1/url";
    assert_refused::<WebhookRelay, _>(
        &relay(),
        load_relay,
        &[
            (
                "/spec/destinations",
                json!([]),
                Schema,
                expect![[r#"
                spec.destinations: must have at least 1 item
                spec.heartbeat.to[0]: "quay" is no destination of this relay
            "#]],
            ),
            (
                "/spec/destinations/1/name",
                json!("quay"),
                Schema,
                expect![[r#"
                spec.destinations[1].name: repeats "quay" of spec.destinations[0]
            "#]],
            ),
            (
                "/spec/destinations/0/url",
                json!("https://a.example.org"),
                Rule,
                expect![[r#"
                spec.destinations[0]: needs exactly one of collectorRef, url
            "#]],
            ),
            (
                "/spec/destinations/0/collectorRef",
                Value::Null,
                Rule,
                expect![[r#"
                spec.destinations[0]: needs exactly one of collectorRef, url
            "#]],
            ),
            (
                "/spec/destinations/0/collectorRef/name",
                json!("../x"),
                Schema,
                expect![[r#"
                spec.destinations[0].collectorRef.name: must be a name of at most 40 small letters, digits and hyphens, beginning with a letter and not ending with a hyphen
            "#]],
            ),
            (
                "/spec/destinations/0/collectorRef/namespace",
                json!("a.b"),
                Schema,
                expect![[r#"
                spec.destinations[0].collectorRef.namespace: must be a namespace: at most 63 small letters, digits and hyphens, no hyphen at an end
            "#]],
            ),
            (
                url,
                json!("ftp://pilot.example.org"),
                Schema,
                expect![[r#"
                spec.destinations[1].url: must begin with http:// or https://, not ftp:
            "#]],
            ),
            (
                url,
                json!("pilot.example.org/hook"),
                Schema,
                expect![[r#"
                spec.destinations[1].url: is no URL: relative URL without a base
            "#]],
            ),
            (
                url,
                json!("https:///hook"),
                Schema,
                expect![[r#"
                spec.destinations[1].url: must be an http or https URL with a host, without user information and fragment
            "#]],
            ),
            (
                url,
                json!("https://user:secret@pilot.example.org"),
                Schema,
                expect![[r#"
                spec.destinations[1].url: must not hold a user name or password
            "#]],
            ),
            (
                url,
                json!("https://pilot.example.org/#top"),
                Schema,
                expect![[r#"
                spec.destinations[1].url: must not hold a fragment (#)
            "#]],
            ),
            (
                url,
                json!("https://pilot.example.org:99999/"),
                Us,
                expect![[r#"
                spec.destinations[1].url: is no URL: invalid port number
            "#]],
            ),
            (
                url,
                json!("https://[::1/"),
                Us,
                expect![[r#"
                spec.destinations[1].url: is no URL: invalid IPv6 address
            "#]],
            ),
            (
                url,
                json!("https://pilot example/"),
                Schema,
                expect![[r#"
                spec.destinations[1].url: is no URL: invalid international domain name
            "#]],
            ),
            (
                "/spec/destinations/1/format",
                json!("Xml"),
                Schema,
                expect![[r#"
                spec.destinations[1].format: must be Original or Line
            "#]],
            ),
            (
                "/spec/destinations/1/retry/schedule",
                json!([]),
                Schema,
                expect![[r#"
                spec.destinations[1].retry.schedule: must have at least 1 item
            "#]],
            ),
            (
                "/spec/destinations/1/retry/schedule",
                json!(vec!["1s"; 33]),
                Schema,
                expect![[r#"
                spec.destinations[1].retry.schedule: must have at most 32 items
            "#]],
            ),
            (
                "/spec/destinations/1/retry/schedule/1",
                json!("169h"),
                Rule,
                expect![[r#"
                spec.destinations[1].retry.schedule[1]: must be from 0s to 168h
            "#]],
            ),
            (
                "/spec/destinations/1/retry/schedule/1",
                json!("soon"),
                Schema,
                expect![[r#"
                spec.destinations[1].retry.schedule[1]: must be a duration such as 500ms, 15s or 1h30m: whole numbers, each with h, m, s or ms
            "#]],
            ),
            (
                "/spec/destinations/1/retry/jitterPercent",
                json!(101),
                Schema,
                expect![[r#"
                spec.destinations[1].retry.jitterPercent: must be from 0 to 100
            "#]],
            ),
            (
                "/spec/destinations/1/timeout",
                json!("0s"),
                Rule,
                expect![[r#"
                spec.destinations[1].timeout: must be from 100ms to 10m
            "#]],
            ),
            (
                "/spec/destinations/1/timeout",
                json!("11m"),
                Rule,
                expect![[r#"
                spec.destinations[1].timeout: must be from 100ms to 10m
            "#]],
            ),
            (
                "/spec/destinations/1/concurrency",
                json!(0),
                Schema,
                expect![[r#"
                spec.destinations[1].concurrency: must be from 1 to 1024
            "#]],
            ),
            (
                "/spec/destinations/1/rateLimit",
                json!({ "events": 0 }),
                Schema,
                expect![[r#"
                spec.destinations[1].rateLimit.events: must be from 1 to 1000000
                spec.destinations[1].rateLimit.per: is required
            "#]],
            ),
            (
                "/spec/destinations/1/rateLimit/per",
                json!("0s"),
                Rule,
                expect![[r#"
                spec.destinations[1].rateLimit.per: must be from 100ms to 24h
            "#]],
            ),
            (
                "/spec/destinations/1/network/allow/-",
                json!("10.0.0.0"),
                Schema,
                expect![[r#"
                spec.destinations[1].network.allow[2]: must be a range of addresses such as 10.0.0.0/8 or fd00::/8
            "#]],
            ),
            (
                "/spec/destinations/1/network/allow/-",
                json!("10.0.0.0/33"),
                Rule,
                expect![[r#"
                spec.destinations[1].network.allow[2]: must be a range of addresses such as 10.0.0.0/8 or fd00::/8
            "#]],
            ),
            (
                "/spec/destinations/1/backlog",
                json!({ "size": "8Mi" }),
                Schema,
                expect![[r#"
                spec.destinations[1].backlog.then: is required
            "#]],
            ),
            (
                "/spec/destinations/1/backlog/size",
                json!("1Ki"),
                Rule,
                expect![[r#"
                spec.destinations[1].backlog.size: must be from 1Mi to 16Ti
            "#]],
            ),
            (
                "/spec/heartbeat/to",
                json!([]),
                Schema,
                expect![[r#"
                spec.heartbeat.to: must have at least 1 item
            "#]],
            ),
            (
                "/spec/heartbeat/to",
                json!(["quay", "sea"]),
                Rule,
                expect![[r#"
                spec.heartbeat.to[1]: "sea" is no destination of this relay
            "#]],
            ),
            (
                "/spec/heartbeat/every",
                json!("25h"),
                Rule,
                expect![[r#"
                spec.heartbeat.every: must be from 1s to 24h
            "#]],
            ),
        ],
    );
}

#[test]
fn collector_and_metadata_mistakes_are_named() {
    assert_refused::<Collector, _>(
        &collector(),
        load_collector,
        &[
            (
                "/spec/access",
                Value::Null,
                Schema,
                expect![[r#"
                spec.access: is required
            "#]],
            ),
            (
                "/spec/access",
                json!({}),
                Schema,
                expect![[r#"
                spec.access.anonymousIngest: is required
            "#]],
            ),
            (
                "/spec/log",
                Value::Null,
                Schema,
                expect![[r#"
                spec.log: is required
            "#]],
            ),
            (
                "/spec/log/path",
                json!("../webhook.log"),
                Schema,
                expect![[r#"
                spec.log.path: must be a path in the data folder that ends in .log; no part of it may begin with a dot
            "#]],
            ),
            (
                "/spec/log/rotate",
                json!({ "size": "1Ki" }),
                Rule,
                expect![[r#"
                spec.log.rotate.size: must be from 64Ki to 1Ti
            "#]],
            ),
            (
                "/spec/log/rotate",
                json!({ "keep": 0 }),
                Schema,
                expect![[r#"
                spec.log.rotate.keep: must be from 1 to 1000
            "#]],
            ),
            (
                "/metadata/name",
                json!("Logbook"),
                Rule,
                expect![[r#"
                metadata.name: must be a name of at most 40 small letters, digits and hyphens, beginning with a letter and not ending with a hyphen
            "#]],
            ),
            (
                "/metadata/name",
                json!("a".repeat(41)),
                Rule,
                expect![[r#"
                metadata.name: must be a name of at most 40 small letters, digits and hyphens, beginning with a letter and not ending with a hyphen
            "#]],
            ),
            (
                "/metadata/namespace",
                json!("../x"),
                Us,
                expect![[r#"
                metadata.namespace: must be a namespace: at most 63 small letters, digits and hyphens, no hyphen at an end
            "#]],
            ),
            (
                "/metadata/labels",
                json!({ "a": 1 }),
                Us,
                expect![[r#"
                metadata: invalid type: integer `1`, expected a string
            "#]],
            ),
            (
                "/extra",
                json!(1),
                Us,
                expect![[r#"
                extra: unknown field; there are apiVersion, kind, metadata, spec
            "#]],
            ),
        ],
    );
}

#[test]
fn every_mistake_is_named_at_once() {
    let mut manifest = with(relay(), "/spec/destinations/1/url", json!("ftp://example.org"));
    manifest = with(manifest, "/spec/destinations/1/retries", json!(3));
    manifest = with(manifest, "/spec/sources/1/path", json!("/"));
    manifest = with(manifest, "/spec/heartbeat/to", json!(["sea"]));
    manifest = with(manifest, "/spec/spool/persistent/size", json!("1Mi"));
    expect![[r#"
        spec.destinations[1].retries: unknown field; there are backlog, collectorRef, concurrency, format, name, network, rateLimit, retry, timeout, url
        spec.destinations[1].url: must begin with http:// or https://, not ftp:
        spec.heartbeat.to[0]: "sea" is no destination of this relay
        spec.sources[1].path: repeats "/" of spec.sources[0]
        spec.spool.persistent.size: must be from 32Mi to 16Ti
    "#]].assert_eq(&text(&load_relay(&manifest.to_string(), None).unwrap_err()));
}

#[test]
fn validated_relay_holds_what_the_manifest_says() {
    expect![[r#"
        ValidatedRelay {
            identity: Identity {
                namespace: "ships",
                name: "harbour",
                generation: 7,
                configuration_hash: "a085ebe7898b14845acff88f1fedf6b97123358c381654471df2cee47ac5ddc3",
            },
            listener: Listener {
                port: 8443,
                max_body_size: 1048576,
                tls: SelfSigned {
                    dns_names: [
                        "harbour.example.org",
                    ],
                },
            },
            spool: Spool {
                kind: Persistent {
                    size: 67108864,
                },
                retain_removed: 86400s,
            },
            sources: [
                Source {
                    name: "open",
                    path: "/",
                    verify: None,
                },
                Source {
                    name: "closed",
                    path: "/closed",
                    verify: Bearer {
                        secrets: [
                            SecretRef {
                                name: "token",
                                key: "new",
                            },
                            SecretRef {
                                name: "token",
                                key: "old",
                            },
                        ],
                    },
                },
            ],
            destinations: [
                Destination {
                    name: "quay",
                    target: Collector {
                        namespace: "ships",
                        name: "logbook",
                    },
                    format: Original,
                    retry: Retry {
                        schedule: [
                            0ns,
                            5s,
                            300s,
                            1800s,
                            7200s,
                            18000s,
                            36000s,
                            50400s,
                            72000s,
                            86400s,
                        ],
                        jitter_percent: 20,
                    },
                    timeout: 15s,
                    concurrency: 16,
                    rate_limit: None,
                    allow: [],
                    backlog: None,
                },
                Destination {
                    name: "pilot",
                    target: Url(
                        Url {
                            scheme: "https",
                            cannot_be_a_base: false,
                            username: "",
                            password: None,
                            host: Some(
                                Domain(
                                    "pilot.example.org",
                                ),
                            ),
                            port: None,
                            path: "/hook",
                            query: Some(
                                "port=3",
                            ),
                            fragment: None,
                        },
                    ),
                    format: Line,
                    retry: Retry {
                        schedule: [
                            0ns,
                            90s,
                        ],
                        jitter_percent: 0,
                    },
                    timeout: 500ms,
                    concurrency: 2,
                    rate_limit: Some(
                        RateLimit {
                            events: 50,
                            per: 1s,
                        },
                    ),
                    allow: [
                        10.0.0.0/8,
                        fd00::/8,
                    ],
                    backlog: Some(
                        8388608,
                    ),
                },
            ],
            heartbeat: Some(
                Heartbeat {
                    every: 300s,
                    to: [
                        "quay",
                    ],
                },
            ),
        }
    "#]]
    .assert_debug_eq(&load_relay(&relay().to_string(), None).unwrap());
}

#[test]
fn validated_collector_has_its_defaults() {
    expect![[r#"
        ValidatedCollector {
            identity: Identity {
                namespace: "default",
                name: "logbook",
                generation: 0,
                configuration_hash: "6a0e5e95adb0cc5d4ee5d107597735e906f9b4fccb9b2aaca16e81eae7d08df6",
            },
            listener: Listener {
                port: 8080,
                max_body_size: 1048576,
                tls: None,
            },
            log: Log {
                path: "webhook.log",
                rotate: None,
            },
        }
    "#]]
    .assert_debug_eq(&load_collector(&collector().to_string(), None).unwrap());
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
