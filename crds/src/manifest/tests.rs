// as expect-test writes them
#![allow(clippy::needless_raw_string_hashes)]

use expect_test::{Expect, expect, expect_file};

use super::*;

const QUICKSTART: &str = include_str!("../../../examples/quickstart.yaml");
const NOTES: &str = include_str!("../../../charts/visnyk/templates/NOTES.txt");

fn collector(name: &str) -> String {
    format!(
        "apiVersion: visnyk.dev/v1alpha1\nkind: Collector\nmetadata: {{name: {name}}}\n\
         spec: {{listener: {{tls: {{none: {{}}}}}}, log: {{}}, access: {{anonymousIngest: {{}}}}}}\n"
    )
}

fn assert_refused(text: &str, name: Option<&str>, expected: &Expect) {
    let problems = load_collector(text, name).unwrap_err();
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    expected.assert_eq(&format!("{}\n", lines.join("\n")));
}

#[test]
fn notes_of_the_chart_have_a_first_step_that_is_valid() {
    let lines = NOTES.lines().skip_while(|line| !line.ends_with("<<'MANIFEST'")).skip(1);
    // As a shell takes it: indented, the last line would not end it.
    let manifest = lines.take_while(|line| *line != "MANIFEST").collect::<Vec<_>>().join("\n");
    let relay = load_relay(&manifest, None).unwrap();
    let collector = load_collector(&manifest, None).unwrap();
    assert_eq!((&relay.identity.name[..], &collector.identity.name[..]), ("first", "archive"));
    assert_eq!(relay.warnings, []);
}

#[test]
fn the_quickstart_holds_a_relay_and_a_collector() {
    let (relay, collector) = (load_relay(QUICKSTART, None), load_collector(QUICKSTART, Some("archive")));
    expect_file!["quickstart.txt"].assert_eq(&format!("{:#?}\n{:#?}\n", relay.unwrap(), collector.unwrap()));
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
fn resource_in_a_list_is_found_as_kubectl_finds_it() {
    let item = |name: &str| collector(name).replace('\n', "\n  ");
    let text = format!("apiVersion: v1\nkind: List\nitems:\n- {}\n- {}\n", item("one"), item("two"));
    assert_eq!(load_collector(&text, Some("two")).unwrap().identity.name, "two");
    assert_refused(
        "apiVersion: v1\nkind: List\n",
        None,
        &expect![[r#"
        manifest: holds no Collector
    "#]],
    );
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
        "apiVersion: visnyk.dev/v1alpha1\nkind: WebhookRelay\nmetadata: {name: a}\n",
        None,
        &expect![[r#"
        manifest: holds no Collector but a WebhookRelay: use visnyk-relay check
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
            manifest: duplicate entry with key "a" at line 7 column 1
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
            spec.listener.tls: needs exactly one of selfSigned, secretName, certManager, none
        "#]],
    );
}
