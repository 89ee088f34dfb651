use expect_test::{Expect, expect};

use super::*;

const QUICKSTART: &str = include_str!("../../../examples/quickstart.yaml");

fn collector(name: &str) -> String {
    format!(
        "apiVersion: visnyk.dev/v1alpha1\nkind: Collector\nmetadata: {{name: {name}}}\n\
         spec: {{listener: {{tls: {{none: {{}}}}}}, log: {{}}, access: {{anonymousIngest: {{}}}}}}\n"
    )
}

fn assert_refused(text: &str, name: Option<&str>, expected: &Expect) {
    let problems = load_collector(text, name).unwrap_err();
    expected.assert_eq(&problems.iter().map(|problem| format!("{problem}\n")).collect::<String>());
}

#[test]
fn the_quickstart_holds_a_relay_and_a_collector() {
    expect![[r#"
        ValidatedRelay {
            identity: Identity {
                namespace: "default",
                name: "monitoring",
                generation: 0,
                configuration_hash: "5bfb7f32b9b1dd23c3b2b7d5d5d9d170c63c927fe72b85652bcc5054ef20b246",
            },
            listener: Listener {
                port: 8443,
                max_body_size: 1048576,
                tls: SelfSigned {
                    dns_names: [],
                },
            },
            spool: Spool {
                kind: Persistent {
                    size: 1073741824,
                },
                retain_removed: 86400s,
            },
            sources: [
                Source {
                    name: "network",
                    path: "/",
                    verify: None,
                },
            ],
            destinations: [
                Destination {
                    name: "archive",
                    target: Collector {
                        namespace: "default",
                        name: "archive",
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
                    name: "log",
                    target: Collector {
                        namespace: "default",
                        name: "archive",
                    },
                    format: Line,
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
            ],
            heartbeat: Some(
                Heartbeat {
                    every: 300s,
                    to: [
                        "log",
                    ],
                },
            ),
        }
    "#]]
    .assert_debug_eq(&load_relay(QUICKSTART, None).unwrap());
    expect![[r#"
        ValidatedCollector {
            identity: Identity {
                namespace: "default",
                name: "archive",
                generation: 0,
                configuration_hash: "53365ba6ef61af035d1a24be6b088548e8c967a76611a542b90fb1300e1af219",
            },
            listener: Listener {
                port: 18443,
                max_body_size: 1048576,
                tls: SelfSigned {
                    dns_names: [],
                },
            },
            log: Log {
                path: "webhook.log",
                rotate: Some(
                    Rotate {
                        size: 67108864,
                        keep: 8,
                    },
                ),
            },
        }
    "#]]
    .assert_debug_eq(&load_collector(QUICKSTART, Some("archive")).unwrap());
}

#[test]
fn documents_of_others_and_empty_ones_are_passed_over() {
    let text = format!(
        "---\n---\n# nothing\n---\napiVersion: v1\nkind: Secret\nspec: 1\n---\n{}---\n",
        collector("one")
    );
    assert_eq!(load_collector(&text, None).unwrap().identity.name, "one");
}

#[test]
fn a_name_picks_one_of_several() {
    let text = format!("{}---\n{}", collector("one"), collector("two"));
    assert_eq!(load_collector(&text, Some("two")).unwrap().identity.name, "two");
    assert_refused(
        &text,
        None,
        &expect![[r#"
        manifest: holds several of kind Collector (one, two); say which by its name
    "#]],
    );
    assert_refused(
        &text,
        Some("three"),
        &expect![[r#"
        manifest: holds no Collector named "three"; there is one, two
    "#]],
    );
    assert_refused(
        &format!("{text}---\n{}", collector("two")),
        Some("two"),
        &expect![[r#"
        manifest: holds several of kind Collector named "two"
    "#]],
    );
}

#[test]
fn a_manifest_without_ours_is_refused() {
    assert_refused(
        "",
        None,
        &expect![[r#"
        manifest: holds no Collector
    "#]],
    );
    assert_refused(
        "apiVersion: v1\nkind: Secret\n",
        None,
        &expect![[r#"
        manifest: holds no Collector
    "#]],
    );
}

#[test]
fn unknown_versions_and_kinds_of_ours_are_refused() {
    let text = collector("one");
    assert_refused(
        &text.replace("v1alpha1", "v2"),
        None,
        &expect![[r#"
        document 1: apiVersion "visnyk.dev/v2" is not known; Collector is of visnyk.dev/v1alpha1
    "#]],
    );
    assert_refused(
        &text.replace("visnyk.dev", "visnik.dev"),
        None,
        &expect![[r#"
        document 1: apiVersion "visnik.dev/v1alpha1" is not known; Collector is of visnyk.dev/v1alpha1
    "#]],
    );
    assert_refused(
        &text.replace("kind: Collector", "kind: Collectr"),
        None,
        &expect![[r#"
        document 1: kind "Collectr" is not known; there are WebhookRelay, Collector
    "#]],
    );
    assert_refused(
        "kind: Collector\n---\n- 1\n",
        None,
        &expect![[r#"
        document 1: needs apiVersion and kind, both strings
        document 2: must be an object with apiVersion and kind
    "#]],
    );
}

#[test]
fn mistakes_in_the_notation_say_their_line() {
    assert_refused(
        "kind: Collector\n  spec: [\n",
        None,
        &expect![[r#"
        manifest: mapping values are not allowed in this context at line 2 column 7
    "#]],
    );
    assert_refused(
        &format!("{}---\na: 1\na: 2\n", collector("one")),
        None,
        &expect![[r#"
        manifest: duplicate entry with key "a" at line 6 column 1
    "#]],
    );
}

#[test]
fn a_null_is_an_absent_field() {
    let text = collector("one").replace("log: {}", "log: {path: null, rotate: null}");
    assert_eq!(load_collector(&text, None), load_collector(&collector("one"), None));
    assert_refused(
        &text.replace("tls: {none: {}}", "tls: {none: null}"),
        None,
        &expect![[r#"
        spec.listener.tls: needs exactly one of selfSigned, secretName, none
    "#]],
    );
}
