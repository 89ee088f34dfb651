//! Any event and any expression.

use proptest::prelude::*;

use super::*;
use crate::budget;
use crate::event::Attributes;
use crate::expr::{Expression, Wanted};

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let json = r#"\{("[ab]": ([0-9]{1,3}|"[ab]{0,4}"|\[1, 2\]|null|\{"a": 1\}), )*"b": 1\}"#;
    prop_oneof![
        any::<Vec<u8>>(),
        json.prop_map(String::into_bytes),
        "<a b=\"c\">(<b>x</b>|<a/>|&lt;)*</a>".prop_map(String::into_bytes),
        "([ab]=[a%20+]*&)*".prop_map(String::into_bytes),
    ]
}

fn conditions() -> impl Strategy<Value = String> {
    let field =
        prop::sample::select(vec!["body.a", "body.b.a", "headers['a']", "source", "query.a", "body.b[0]"]);
    let constant = prop::sample::select(vec!["'a'", "1", "2.5", "null", "true", "'network'"]);
    let sign = prop::sample::select(vec!["==", "==", "==", "!=", "<", ">="]);
    let compared =
        (field, sign, constant).prop_map(|(field, sign, constant)| format!("{field} {sign} {constant}"));
    compared.prop_recursive(4, 16, 2, |inner| {
        prop_oneof![
            3 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} && ({b})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            1 => inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

fn content_types() -> impl Strategy<Value = Option<&'static str>> {
    let types = vec![
        None,
        Some("application/json"),
        Some("text/xml"),
        Some("application/x-www-form-urlencoded"),
        Some("a"),
    ];
    prop::sample::select(types)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// Also that the index changes nothing: `decide_both` compares with the explanation, which has none.
    #[test]
    fn any_event_is_decided_within_its_budget(
        body in bodies(),
        content_type in content_types(),
        header in any::<Vec<u8>>(),
        target in any::<String>(),
        received_at_ms in any::<i64>(),
        time_ms in any::<Option<i64>>(),
        conditions in proptest::collection::vec(conditions(), 1..12),
    ) {
        let content_type = content_type.map(|one| ("content-type".to_owned(), one.as_bytes().to_vec()));
        let headers: Vec<_> = content_type.into_iter().chain([("a".to_owned(), header)]).collect();
        let event = Event {
            received_at_ms,
            target: &target,
            headers: &headers,
            attributes: Attributes { time_ms, ..Attributes::default() },
            body: &body,
            ..event("")
        };
        let specs = conditions.iter().enumerate().map(|(number, when)| {
            let set = Priority::ALL[number % 4];
            RuleSpec { name: number.to_string(), drop: number == 7, priority: (number != 7).then_some(set), ..rule("", when) }
        });
        // A text that cannot hold, such as a comparison of constants, is refused.
        let Ok(rules) = Rules::compile(specs.collect(), &[]) else { return Ok(()) };
        let times = ["received.getHours('Europe/Kyiv') > 9", "attributes.time > received"];
        let destinations = times.map(|when| Selector::compile(Some(when), OnError::Deliver, &Names::default()).unwrap());
        let (decision, _) = decide_both(event, &rules, &destinations);
        prop_assert!(decision.cost <= budget::LIMIT);
    }

    #[test]
    fn any_text_is_compiled_or_refused(text in ".{0,200}") {
        let _ = Expression::compile(&text, Wanted::Scalar, &Names::default());
    }

    #[test]
    fn any_words_are_compiled_or_refused_with_a_place_in_the_text(words in proptest::collection::vec(
        prop::sample::select(vec![
            "body", ".a", "[", "]", "(", ")", "'x'", "==", "&&", "!", "?", ":", ",", "1", "in", "exists(x,", "has(", "\n", "-", ".size()", "x", "//", "{",
        ]), 0..40,
    )) {
        let text = words.join(" ");
        if let Err(error) = Expression::compile(&text, Wanted::Bool, &Names::default()) {
            let lines = text.split('\n').count().max(1);
            prop_assert!((1..=lines).contains(&error.line), "{error} in {text}");
            prop_assert!(error.column >= 1 && error.column <= text.len() + 2, "{error} in {text}");
        }
    }
}
