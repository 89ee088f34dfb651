//! Bodies that a sender makes to cost as much as possible. The bound is counted: `budget::LIMIT` for all expressions
//! of an event together, and each function is charged for what it reads.

use super::*;
use crate::budget;
use crate::rule::MAX_RULES;

const MEBIBYTE: usize = 1 << 20;

/// Bodies of about 1 MiB, each the worst for some function.
fn bodies() -> Vec<String> {
    let long = "a".repeat(MEBIBYTE - 64);
    let repeat = |unit: &str| unit.repeat((MEBIBYTE - 64) / unit.len());
    let keys: Vec<_> = (0..80_000).map(|key| format!("\"{key}\":1")).collect();
    vec![
        format!("{{\"a\": \"{long}\", \"b\": 1}}"),
        format!("{{\"a\": \"{}\", \"b\": \"{0}\"}}", "a".repeat(MEBIBYTE / 2 - 64)),
        format!("{{\"a\": [{}1]}}", repeat("1,")),
        format!("{{\"a\": [{}{{\"a\": 1}}]}}", repeat("{\"a\":1},")),
        format!("{{{},\"a\": 1}}", keys.join(",")),
        format!("{{\"a\": {}1{}}}", "[".repeat(120), "]".repeat(120)),
        format!("{{\"a\": \"{}\"}}", repeat("\\u0041")),
        long,
    ]
}

/// An expression of each form that is allowed, all of which read `body.a`.
const FORMS: &[&str] = &[
    "body.a.contains('ab')",
    "body.a.startsWith('ab') || body.a.endsWith('ba')",
    "body.a.matches('(a|b)*c$')",
    "body.a.matches('[ab]{40}c')",
    "body.a.lowerAscii().upperAscii().trim() == 'x'",
    "size(body.a) == 1",
    "int(body.a) == 1 || double(body.a) == 1.0 || bool(body.a)",
    "timestamp(body.a) > received || duration(body.a) > duration('1h')",
    "body.a == body.b || body.a == body.a",
    "body.a < body.b || body.a >= body.a",
    "body.b in body.a || 2 in body.a",
    "body.a in ['x', body.b, body.a]",
    "body.a.exists(x, x == 2) || body.a.all(x, x == 1)",
    "body.a.exists(x, x.a == 'b' && x.b in body.a)",
    "body.a.all(x, body.a.contains('ab') || x in ['a', 'b', 'c'])",
    "body.exists(key, key.matches('[ab]{40}c'))",
    "body.a.a.a.a == 1 || body.a[0][0][0] == 1 || body[body.a] == 1",
    "headers['x-a'] == body.a || query.a == body.a || labels.a == body.a",
    "string(body.a) == 'x' || -body.a == 1 || body.a + body.b == 1",
    "body.a ? body.b : body.a",
];

#[test]
fn hostile_body_costs_no_more_than_the_limit() {
    let bodies = bodies();
    for form in FORMS {
        let mut specs: Vec<_> = (0..MAX_RULES - 1)
            .map(|number| RuleSpec { name: number.to_string(), ..priority(form, Priority::Major) })
            .collect();
        specs.push(labels("", &[("a", "'b'")]));
        let rules = compile(specs);
        for body in &bodies {
            let decision = decide(event(body), &rules, &[Selector::default()]);
            assert!(decision.cost <= budget::LIMIT, "{form}: {}", decision.cost);
            // What does not fit is shown and does not vanish.
            let failed = decision.errors.iter().any(|one| one.error == RuleFailure::Eval(EvalError::Budget));
            assert!(!failed || decision.cost == budget::LIMIT, "{form}");
        }
    }
}

#[test]
fn one_rule_of_each_form_fits_into_the_budget_of_a_plain_event() {
    for form in FORMS {
        let rules = compile(vec![priority(form, Priority::Major), labels("", &[("a", "'b'")])]);
        let decision = decide(event(BODY), &rules, &[]);
        assert!(decision.cost < 4096, "{form}: {}", decision.cost);
    }
}

#[test]
fn long_body_can_be_searched_by_several_rules() {
    let body = "a".repeat(MEBIBYTE);
    let search = |number: usize| RuleSpec {
        name: number.to_string(),
        ..priority(
            if number.is_multiple_of(2) {
                "body.contains('link down')"
            } else {
                "body.matches('link (up|down)')"
            },
            Priority::Major,
        )
    };
    let decision = decide(event(&body), &compile((0..6).map(search).collect()), &[]);
    assert_eq!(decision.errors, []);
}

#[test]
fn after_the_limit_every_rule_and_condition_fails() {
    let body = "a".repeat(MEBIBYTE);
    let costly = (0..8).map(|number| RuleSpec {
        name: number.to_string(),
        ..priority("body.contains('b')", Priority::Major)
    });
    let rules = compile(costly.chain([priority("source == 'network'", Priority::Critical)]).collect());
    let destinations = [
        selector(&rules, "source == 'gitlab'", OnError::Deliver),
        selector(&rules, "source == 'gitlab'", OnError::DeadLetter),
    ];
    let decision = decide(event(&body), &rules, &destinations);
    assert_eq!(decision.priority, Priority::Minor);
    assert_eq!(decision.errors.last().unwrap().rule, 8);
    let selections: Vec<_> = decision.destinations.iter().map(|one| one.selection).collect();
    assert_eq!(selections, [Selection::Selected, Selection::DeadLetter]);
}
