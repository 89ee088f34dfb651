use serde_json::json;

use super::*;

fn read_text(text: &str) -> Result<Value, String> {
    documents(text).map(|mut documents| documents.pop().unwrap_or_default())
}

/// Output of `kubectl label --local --output json` of Kubernetes 1.37.2 for each value, and whether it accepts the
/// value.
const OF_KUBECTL: &str = include_str!("kubectl.txt");

#[test]
fn values_are_read_as_kubectl_reads_them_or_refused() {
    let mut read = 0;
    for line in OF_KUBECTL.lines() {
        let (text, theirs) = line.split_once(" => ").unwrap();
        let ours = read_text(&format!("a: {text}"));
        if theirs == "error" {
            assert!(ours.is_err(), "{text}: {ours:?}");
            continue;
        }
        let Ok(ours) = ours else {
            // What kubectl ignores, we do not know.
            assert!(text.starts_with("!custom") || text.starts_with("!!binary"), "{text}: {ours:?}");
            continue;
        };
        read += 1;
        let theirs: Value = serde_json::from_str(theirs).unwrap();
        match (&ours["a"], &theirs) {
            // The same number may be written in two ways.
            (Value::Number(ours), Value::Number(theirs)) => {
                assert_eq!((ours.as_f64(), ours.is_i64()), (theirs.as_f64(), theirs.is_i64()), "{text}");
            }
            (ours, theirs) => assert_eq!(ours, theirs, "{text}"),
        }
    }
    assert!(read > 90, "{read}");
}

#[test]
fn a_null_field_is_absent() {
    assert_eq!(
        read_text("{a: 1, b: -1, c: 1.5, d: [x, null, true], e: null, f: {g: ~}, 7: \"8\", h: &h z, i: *h}"),
        Ok(json!({"a": 1, "b": -1, "c": 1.5, "d": ["x", null, true], "f": {}, "7": "8", "h": "z", "i": "z"}))
    );
    assert_eq!(read_text(""), Ok(Value::Null));
    assert_eq!(read_text("\u{feff}a: 1"), Ok(json!({"a": 1})));
}

#[test]
fn merge_keys_merge_as_they_do_for_kubectl() {
    for (text, read) in [
        ("{base: &b {a: 1, c: 3}, use: {<<: *b, a: 2}}", json!({"a": 2, "c": 3})),
        ("{base: &b {a: 1, c: 3}, use: {a: 2, <<: *b}}", json!({"a": 1, "c": 3})),
        ("{b: &b {a: 1}, c: &c {a: 2, d: 4}, use: {<<: [*b, *c]}}", json!({"a": 1, "d": 4})),
        ("use: {<<: {a: 1}}", json!({"a": 1})),
        ("use: {!!merge <<: {a: 1}}", json!({"a": 1})),
        ("use: {'<<': {a: 1}}", json!({"<<": {"a": 1}})),
    ] {
        assert_eq!(read_text(text).unwrap()["use"], read, "{text}");
    }
    for text in ["use: {<<: 1}", "use: {<<: [1]}", "use: {<<: null}"] {
        assert!(read_text(text).unwrap_err().contains("a merge key (<<) needs a mapping"), "{text}");
    }
}

#[test]
fn what_json_cannot_say_is_refused_with_its_place() {
    for (text, refused) in [
        ("a: .nan", "is no number of JSON at line 1 column 4"),
        ("\na: 1\na: 2", "duplicate entry with key \"a\" at line 3 column 1"),
        ("a: !secret b", "the tag !secret is not known at line 1 column 4"),
        ("on: b", "a key is the boolean true: put it in quotes at line 1 column 1"),
        ("~: b", "a key must be a string at line 1 column 1"),
        ("[a]: b", "a key must be a string at line 1 column 1"),
        ("a: &a [*a]", "is an alias of what it is a part of at line 1 column 8"),
    ] {
        assert_eq!(read_text(text), Err(refused.to_owned()), "{text}");
    }
    assert!(read_text("a: *a").unwrap_err().contains("unknown anchor"));
    let deep = format!("{}{}", "[".repeat(MAX_DEPTH + 2), "]".repeat(MAX_DEPTH + 2));
    assert!(read_text(&deep).unwrap_err().starts_with("is nested too deeply"));
}

#[test]
fn aliases_of_aliases_are_refused_before_they_are_many() {
    let long = "x".repeat(1 << 20);
    let text = format!("a: &a {long}\nb: [{}]", vec!["*a"; 13].join(", "));
    assert!(read_text(&text).is_ok());
    let text = format!("a: &a {long}\nb: [{}]", vec!["*a"; 16].join(", "));
    assert!(read_text(&text).unwrap_err().starts_with("is too large at line 2"));

    let items = vec!["a"; 1_000].join(",");
    let text = format!("a: &a [{items}]\nb: [{}]", vec!["*a"; 1_000].join(", "));
    let refused = read_text(&text).unwrap_err();
    assert!(refused.contains("is too large"), "{refused}");
}
