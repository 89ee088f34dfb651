//! Values of expressions, alone and against the interpreter of the `cel` crate.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::event::{Attributes, Event};
use crate::expr::{Expression, Names, Wanted};

const BODY: &str = r#"{
    "text": "Packet Loss", "number": 5, "double": 7.5, "quoted": "7.143", "yes": true, "nothing": null,
    "list": [1, 2, 3], "map": {"a": 1, "b": {"c": "d"}}, "hops": [{"loss": 1}, {"loss": 9}, {}], "at": "1693921799999"
}"#;

fn evaluate(text: &str) -> Result<bool, Stop> {
    let expression = Expression::compile(text, Wanted::Bool, &Names::default())
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    let headers = [
        ("x-site".to_owned(), b"kyiv".to_vec()),
        ("x-hop".to_owned(), b"a".to_vec()),
        ("x-hop".to_owned(), b"b".to_vec()),
    ];
    let attributes = Attributes { kind: Some("push"), id: None, origin: Some("/repo"), time_ms: Some(0) };
    let event = Event {
        source: "network",
        // Friday, 2023-09-01 17:24:31.123 UTC
        received_at_ms: 1_693_589_071_123,
        target: "/in?site=lviv&site=odesa&empty=&name=a%20b",
        headers: &headers,
        attributes,
        body: BODY.as_bytes(),
        priority: Priority::Major,
    };
    let facts = Facts::new(event);
    let labels = [("team".to_owned(), "network".to_owned())];
    let scope = Scope { facts: &facts, priority: Priority::Major, labels: &labels };
    scope.condition(&expression.node)
}

#[test]
fn conditions_that_hold() {
    for text in [
        "body.text.contains('Loss') && body.text.startsWith('Packet') && body.text.endsWith('ss')",
        "body.text.lowerAscii() == 'packet loss' && 'a'.upperAscii() == 'A' && ' a '.trim() == 'a'",
        "body.text.matches('^Packet .oss$') && !body.text.matches('^Loss')",
        "double(body.quoted) >= 5.0 && int('5') == body.number && double('5') == 5.0 && string(5) == '5'",
        "bool('true') && string(true) == 'true' && int(7.9) == 7 && int(-7.9) == -7",
        "body.number + 2.5 == body.double && body.number * 2 == 10 && 7 / 2 == 3 && 7 % 2 == 1 && 7 / 2.0 == 3.5",
        "-body.number == -5 && 1.0 == 1 && 1 < 1.5 && 'a' < 'b' && 2 >= 2 && !(2 > 2)",
        "body.yes && body.nothing == null && body.list != null && body.text != 5 && !(body.text == 5)",
        "2 in body.list && 'a' in body.map && !('z' in body.map) && !(9 in body.list)",
        "body.list[0] == 1 && body['map']['b'].c == 'd' && body.list == body.list && body.map != body.list",
        "body.hops.exists(hop, hop.loss > 5) && body.list.all(one, one > 0) && body.map.exists(key, key == 'b')",
        "['x', body.text].exists(one, one == 'Packet Loss') && ![1, 2].all(one, one > 1)",
        "has(body.map.b.c) && !has(body.map.z) && !has(body.z.z.z) && !has(body.text.z)",
        "size(body.list) == 3 && body.list.size() == 3 && size('вісник') == 6 && size(body.map) == 2",
        "headers['x-site'] == 'kyiv' && headers['x-hop'] == 'a, b' && 'x-site' in headers && !('x-none' in headers)",
        "query.site == 'lviv' && query.name == 'a b' && query.empty == '' && has(query.site) && !has(query.none)",
        "attributes.type == 'push' && attributes.source == '/repo' && !has(attributes.id) && attributes.time == timestamp(0)",
        "source == 'network' && priority == 'Major' && priority in ['Critical', 'Major'] && labels.team == 'network'",
        "received.getHours() == 17 && received.getHours('Europe/Kyiv') == 20 && received.getMinutes() == 24",
        "received.getDayOfWeek() == 5 && received.getDate() == 1 && received.getMonth() == 8 && received.getFullYear() == 2023",
        "received > timestamp('2023-09-01T00:00:00Z') && received - timestamp('2023-09-01T17:00:00Z') < duration('25m')",
        "timestamp(int(body.at) / 1000) > received && timestamp(body.at == '' ? '' : '2023-09-01T00:00:00Z') < received",
        "duration('1h') + duration('30m') == duration('1h30m') && received + duration('1s') > received",
        "body.z == 1 || true",
        "!(body.z == 1 && false)",
        "body.hops.exists(hop, hop.loss == 9)",
        "!(body.hops.all(hop, hop.loss == 9))",
        "body.yes ? true : body.z",
        "'a' in ['b', body.z, 'a']",
    ] {
        assert_eq!(evaluate(text), Ok(true), "{text}");
    }
}

#[test]
fn missing_field_is_neither_true_nor_false_nor_an_error() {
    for text in [
        "body.z == 1",
        "body.z != 1",
        "!(body.z == 1)",
        "body.z.z.z > 1",
        "body.list[9] == 1",
        "body.list[-1] == 1",
        "body.text.z == 1",
        "body.text[0] == 1",
        "body.nothing.z == 1",
        "double(body.z) > 1.0",
        "body.z && true",
        "true && body.z",
        "body.z || false",
        "headers['x-none'] == 'a'",
        "query.none == ''",
        "labels.none == ''",
        "attributes.id == ''",
        "body.hops.all(hop, hop.loss > 0)",
        "body.z.exists(x, true)",
        "'a' in ['b', body.z]",
        "body.z ? true : true",
        "body.z.contains('a')",
        // A missing field decides over an error, on either side.
        "body.z == 1 && body.text > 5",
        "body.text > 5 && body.z == 1",
        "body.text > 5 || body.z == 1",
    ] {
        assert_eq!(evaluate(text), Err(Stop::Missing), "{text}");
    }
}

#[test]
fn impossible_operation_is_an_error_without_values() {
    for (text, expected) in [
        ("body.text > 5", "comparison cannot be applied to string and int"),
        ("body.list < body.list", "comparison cannot be applied to list and list"),
        ("body.text + body.text == 'a'", "+ cannot be applied to string and string"),
        ("body.list + body.list == body.list", "+ cannot be applied to list and list"),
        ("double(body.text) > 1.0", "double was given a string of another form"),
        ("int(body.map) > 1", "int cannot be applied to map"),
        ("string(body.list) == ''", "string cannot be applied to list"),
        ("body.number.contains('a')", "contains cannot be applied to int and string"),
        ("body.number.matches('a')", "matches cannot be applied to int"),
        ("size(body.number) > 1", "size cannot be applied to int"),
        ("body.text && true", "&& cannot be applied to string"),
        ("!body.text", "! cannot be applied to string"),
        ("body.text ? true : true", "? cannot be applied to string"),
        ("body.text.exists(x, true)", "exists cannot be applied to string"),
        ("1 in body.text", "in cannot be applied to int and string"),
        ("body.list[body.yes] == 1", "[] cannot be applied to bool"),
        ("9223372036854775807 + body.number > 1", "result of + is out of range"),
        ("body.number / (body.number - 5) > 1", "result of / is out of range"),
        ("body.double % 2.0 > 1.0", "result of % is out of range"),
        ("int(body.double * 1e300) > 1", "result of int is out of range"),
        ("timestamp(9223372036854775807) > received", "result of timestamp is out of range"),
        ("timestamp(body.text) > received", "timestamp was given a string of another form"),
    ] {
        match evaluate(text) {
            Err(Stop::Error(error)) => assert_eq!(error.to_string(), expected, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

/// Expressions over the body with the operators and functions that both interpreters have.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("body.number".to_owned()),
        Just("body.double".to_owned()),
        Just("body.text".to_owned()),
        Just("body.quoted".to_owned()),
        Just("body.yes".to_owned()),
        Just("body.list".to_owned()),
        Just("body.map.b.c".to_owned()),
        Just("body.nothing".to_owned()),
        Just("body.z".to_owned()),
        (-3_i64..9).prop_map(|one| one.to_string()),
        (0_u8..9).prop_map(|one| format!("{one}.5")),
        Just("'Loss'".to_owned()),
        Just("true".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let operator = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">=", "&&", "||", "+", "-", "*", "/", "%", "in"]);
        let function = prop::sample::select(vec!["double", "int", "string", "size"]);
        let member = prop::sample::select(vec!["contains", "startsWith", "endsWith"]);
        prop_oneof![
            4 => (inner.clone(), operator, inner.clone()).prop_map(|(a, sign, b)| format!("({a} {sign} {b})")),
            1 => inner.clone().prop_map(|a| format!("(!{a})")),
            1 => (function, inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            1 => (inner.clone(), member, inner.clone()).prop_map(|(a, f, b)| format!("{a}.{f}({b})")),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            1 => inner.prop_map(|a| format!("body.list.exists(x, x == {a})")),
        ]
    })
}

/// Evaluates by the interpreter of the `cel` crate.
fn oracle(text: &str) -> Option<bool> {
    let env = Arc::new(cel::Env::stdlib());
    let mut context = cel::Context::with_env(Arc::clone(&env));
    let body: serde_json::Value = serde_json::from_str(BODY).unwrap();
    context.add_variable("body", body).unwrap();
    match env.compile(text).ok()?.execute(&context) {
        Ok(cel::Value::Bool(value)) => Some(value),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn conditions_have_the_value_that_cel_gives_them(text in expressions()) {
        if let Ok(expression) = Expression::compile(&text, Wanted::Bool, &Names::default()) {
            let expected = oracle(expression.text());
            if let Some(expected) = expected {
                let found = evaluate(&text);
                // `+` joins strings and lists in CEL; here it is for numbers only.
                if !matches!(found, Err(Stop::Error(EvalError::Types { operation: "+", .. }))) {
                    prop_assert_eq!(found, Ok(expected), "{}", text);
                }
            }
        }
    }
}
