//! Every effect of a rule, failures, and what a sender cannot do.

mod hostile;
mod properties;

use super::*;
use crate::event::Attributes;
use crate::expr::Names;
use crate::rule::{OnError, RuleSpec, ScoreSpec, Threshold};

const BODY: &str = r#"{"policyName": " Packet Loss alert test", "triggeredValue": "7.143", "from_city": "bolinas",
    "impact": 5, "likelihood": 4.5, "text": "a"}"#;

fn event(body: &str) -> Event<'_> {
    Event {
        source: "network",
        received_at_ms: 0,
        target: "/",
        headers: &[],
        attributes: Attributes::default(),
        body: body.as_bytes(),
        priority: Priority::Minor,
    }
}

fn rule(name: &str, when: &str) -> RuleSpec {
    let when = if when.is_empty() { None } else { Some(when.to_owned()) };
    RuleSpec { name: name.to_owned(), when, ..RuleSpec::default() }
}

fn priority(when: &str, priority: Priority) -> RuleSpec {
    RuleSpec { priority: Some(priority), ..rule(&format!("{priority} {when}"), when) }
}

fn labels(when: &str, labels: &[(&str, &str)]) -> RuleSpec {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    RuleSpec { labels, ..rule(&format!("labels {when}"), when) }
}

fn compile(specs: Vec<RuleSpec>) -> Rules {
    Rules::compile(specs, &["network".to_owned(), "gitlab".to_owned()]).unwrap()
}

fn selector(rules: &Rules, when: &str, on_error: OnError) -> Selector {
    let when = if when.is_empty() { None } else { Some(when) };
    Selector::compile(when, on_error, &Names { labels: Some(rules.labels()) }).unwrap()
}

/// Decides with and without the index, and checks that both decide the same.
fn decide_both(event: Event<'_>, rules: &Rules, destinations: &[Selector]) -> (Decision, Vec<Step>) {
    let (decision, steps) = explain(event, rules, destinations);
    let without = Run::new(&Facts::new(event), rules).decide(destinations, false, &mut |_, _| {});
    let comparable = |decision: &Decision| Decision { cost: 0, body: None, ..decision.clone() };
    assert_eq!(comparable(&decision), comparable(&without));
    (decision, steps)
}

fn decided(specs: Vec<RuleSpec>) -> Decision {
    decide_both(event(BODY), &compile(specs), &[]).0
}

#[test]
fn event_that_no_rule_classifies_has_the_priority_of_its_source() {
    let of_source = Event { priority: Priority::Informational, ..event(BODY) };
    let rules = compile(vec![priority("source == 'gitlab'", Priority::Critical)]);
    let (decision, _) = decide_both(of_source, &rules, &[]);
    assert_eq!((decision.priority, decision.classified_by), (Priority::Informational, None));
}

#[test]
fn last_matching_rule_wins_unless_one_before_it_stops() {
    let critical = || priority("body.policyName.contains('Packet Loss')", Priority::Critical);
    let major = || priority("double(body.triggeredValue) >= 5.0", Priority::Major);
    let decision = decided(vec![critical(), major()]);
    assert_eq!((decision.priority, decision.classified_by), (Priority::Major, Some(1)));
    let decision = decided(vec![RuleSpec { stop: true, ..critical() }, major()]);
    assert_eq!((decision.priority, decision.classified_by), (Priority::Critical, Some(0)));
    let stop = RuleSpec { stop: true, ..rule("stop", "body.from_city == 'bolinas'") };
    assert_eq!(decided(vec![stop, major()]).priority, Priority::Minor);
    let other = RuleSpec { stop: true, ..rule("stop", "body.from_city == 'kyiv'") };
    assert_eq!(decided(vec![other, major()]).priority, Priority::Major);
}

#[test]
fn dropped_event_has_no_destination_and_ends_the_rules() {
    let drop = RuleSpec { drop: true, ..rule("drop", "body.from_city == 'bolinas'") };
    let rules = compile(vec![drop, priority("", Priority::Critical)]);
    let (decision, steps) = decide_both(event(BODY), &rules, &[Selector::default()]);
    assert_eq!(decision.verdict, Verdict::Drop { rule: 0 });
    assert_eq!((decision.destinations.len(), decision.classified_by), (0, None));
    assert_eq!(steps[1], Step::NotReached);
    assert!(!decision.is_unmatched());
}

#[test]
fn score_takes_the_largest_threshold_that_it_reaches() {
    let score = |value: &str| RuleSpec {
        score: Some(ScoreSpec {
            value: value.to_owned(),
            thresholds: [(20, Priority::Critical), (8, Priority::Major), (0, Priority::Informational)]
                .map(|(at_least, priority)| Threshold { at_least, priority })
                .into(),
        }),
        ..rule("score", "")
    };
    for (value, expected) in [
        ("body.impact * body.likelihood", Priority::Critical),
        ("20", Priority::Critical),
        ("19.9", Priority::Major),
        ("8", Priority::Major),
        ("0.0", Priority::Informational),
        ("-1", Priority::Minor),
        ("body.missing * 2", Priority::Minor),
    ] {
        let decision = decided(vec![score(value)]);
        assert_eq!((decision.priority, decision.errors.len()), (expected, 0), "{value}");
    }
    for value in ["body.text", "0.0 / 0.0", "double(body.from_city)"] {
        let decision = decided(vec![score(value)]);
        assert_eq!((decision.priority, decision.errors.len()), (Priority::Minor, 1), "{value}");
    }
}

#[test]
fn labels_are_seen_by_later_rules_and_destinations() {
    let rules = compile(vec![
        labels(
            "",
            &[
                ("team", "'network'"),
                ("site", "body.from_city"),
                ("none", "body.missing"),
                ("n", "body.impact"),
            ],
        ),
        labels("labels.team == 'network'", &[("team", "'core'")]),
        priority("labels.team == 'core' && labels.site == 'bolinas'", Priority::Major),
    ]);
    let destination = selector(&rules, "labels.n == '5' && priority == 'Major'", OnError::Deliver);
    let (decision, _) = decide_both(event(BODY), &rules, &[destination]);
    let labels: Vec<_> = decision.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(labels, [("team", "core"), ("site", "bolinas"), ("n", "5")]);
    assert_eq!(decision.priority, Priority::Major);
    assert_eq!(decision.destinations[0].selection, Selection::Selected);
}

#[test]
fn label_that_is_too_long_or_no_scalar_is_an_error() {
    let long = format!(r#"{{"long": "{}", "list": []}}"#, "x".repeat(257));
    for value in ["body.long", "body.list"] {
        let rules = compile(vec![labels("", &[("a", "'kept out too'"), ("b", value)])]);
        let (decision, _) = decide_both(event(&long), &rules, &[]);
        assert_eq!((decision.labels.len(), decision.errors.len()), (0, 1), "{value}");
    }
}

#[test]
fn rule_is_for_the_sources_that_it_names() {
    let from = |sources: &[&str]| RuleSpec {
        from: sources.iter().map(|one| (*one).to_owned()).collect(),
        ..priority("", Priority::Critical)
    };
    assert_eq!(decided(vec![from(&["gitlab"])]).priority, Priority::Minor);
    assert_eq!(decided(vec![from(&["gitlab", "network"])]).priority, Priority::Critical);
}

#[test]
fn failures_are_answered_by_each_destination() {
    let broken = priority("body.text > 5", Priority::Critical);
    let rules = compile(vec![broken, labels("", &[("team", "'a'")])]);
    let when = |when, on_error| selector(&rules, when, on_error);
    let destinations = [
        when("", OnError::Deliver),
        when("", OnError::DeadLetter),
        when("source == 'gitlab'", OnError::DeadLetter),
        when("priority == 'Critical'", OnError::Deliver),
        when("priority == 'Critical'", OnError::DeadLetter),
        when("labels.team == 'b'", OnError::Deliver),
        when("body.missing == 1", OnError::DeadLetter),
        when("body.text > 5", OnError::Deliver),
        when("body.text > 5", OnError::DeadLetter),
    ];
    let (decision, steps) = decide_both(event(BODY), &rules, &destinations);
    let selections: Vec<_> = decision.destinations.iter().map(|one| one.selection).collect();
    let (selected, filtered, dead) = (Selection::Selected, Selection::Filtered, Selection::DeadLetter);
    assert_eq!(selections, [selected, dead, filtered, selected, dead, selected, filtered, selected, dead]);
    assert_eq!(decision.errors.len(), 1);
    assert!(matches!(decision.destinations[8].failure, Some(Failure::When(_))));
    assert!(matches!(decision.destinations[3].failure, Some(Failure::Rule(RuleError { rule: 0, .. }))));
    assert!(matches!(steps[0], Step::Failed(_)));
}

#[test]
fn failure_of_a_rule_that_drops_is_no_match() {
    let rules = compile(vec![RuleSpec { drop: true, ..rule("drop", "body.text > 5") }]);
    let destinations = [selector(&rules, "", OnError::DeadLetter)];
    let (decision, _) = decide_both(event(BODY), &rules, &destinations);
    assert_eq!(decision.destinations[0], Outcome { selection: Selection::Selected, failure: None });
    assert_eq!(decision.errors.len(), 1);
}

#[test]
fn event_that_no_destination_selects_is_unmatched() {
    let rules = compile(vec![]);
    let none = selector(&rules, "source == 'gitlab'", OnError::Deliver);
    assert!(decide(event(BODY), &rules, std::slice::from_ref(&none)).is_unmatched());
    assert!(!decide(event(BODY), &rules, &[none, Selector::default()]).is_unmatched());
}

#[test]
fn body_is_read_only_if_an_expression_asks() {
    let rules = compile(vec![priority("source == 'gitlab' || headers['x-a'] == 'b'", Priority::Major)]);
    assert_eq!(decide(event(BODY), &rules, &[]).body, None);
    let rules =
        compile(vec![RuleSpec { from: vec!["gitlab".into()], ..priority("body.a == 'b'", Priority::Major) }]);
    assert_eq!(decide(event(BODY), &rules, &[]).body, None);
    let rules = compile(vec![priority("body.a == 'b'", Priority::Major)]);
    assert_eq!(decide(event(BODY), &rules, &[]).body, Some(BodyKind::Json));
}

#[test]
fn body_beyond_a_mebibyte_counts_by_its_headers() {
    let body = format!("{{\"a\": \"{}\"}}", "x".repeat(1 << 20));
    let rules = compile(vec![
        priority("has(body.a)", Priority::Major),
        priority("source == 'network'", Priority::Critical),
    ]);
    let (decision, _) = decide_both(event(&body), &rules, &[]);
    assert_eq!((decision.priority, decision.body), (Priority::Critical, Some(BodyKind::TooLarge)));
}

#[test]
fn explanation_says_for_each_rule_what_it_did() {
    let rules = compile(vec![
        RuleSpec { from: vec!["gitlab".into()], ..priority("true", Priority::Major) },
        priority("body.from_city == 'kyiv'", Priority::Major),
        priority("body.missing == 'kyiv'", Priority::Major),
        priority("body.text > 5", Priority::Major),
        RuleSpec { stop: true, ..labels("", &[("site", "body.from_city")]) },
        priority("", Priority::Major),
    ]);
    let (_, steps) = explain(event(BODY), &rules, &[]);
    let effects =
        Effects { labels: vec![("site".into(), "bolinas".into())], stop: true, ..Effects::default() };
    assert_eq!(steps[..3], [Step::OtherSource, Step::NoMatch, Step::FieldMissing]);
    assert!(matches!(steps[3], Step::Failed(_)));
    assert_eq!(steps[4..], [Step::Matched(effects), Step::NotReached]);
}

#[test]
fn refused_rules_are_named_with_field_line_and_column() {
    let told = |specs: Vec<RuleSpec>| {
        let problems = Rules::compile(specs, &["network".to_owned()]).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let score = Some(ScoreSpec { value: "source".into(), thresholds: vec![] });
    assert_eq!(
        told(vec![
            priority("true &&\nsorce == 'a'", Priority::Major),
            RuleSpec { score, ..rule("b", "") },
            RuleSpec { from: vec!["netwrk".into()], ..rule("c", "") },
            RuleSpec { drop: true, stop: true, ..rule("c", "") },
            labels("", &[("9", "body.a"), ("b", "received")]),
        ])
        .iter()
        .map(|one| one.split("; there are").next().unwrap())
        .collect::<Vec<_>>(),
        [
            "rule \"Major true &&\\nsorce == 'a'\": when: line 2, column 1: \"sorce\" is not a variable",
            "rule \"b\": score.thresholds: needs 1 to 16 entries",
            "rule \"b\": score.value: line 1, column 1: must be a number, not a string",
            "rule \"c\": from[0]: \"netwrk\" is not the name of a source of this relay",
            "rule \"c\": rule: has no effect: set drop, priority, score, labels or stop",
            "rule \"c\": name: repeats the name of an earlier rule",
            "rule \"c\": rule: drop cannot be combined: a dropped event has no priority or labels, and no later rule",
            "rule \"labels \": labels.9: name must be 1 to 63 letters, digits and _, not beginning with a digit",
            "rule \"labels \": labels.b: line 1, column 1: must be a string, a number or a boolean, not a timestamp",
        ]
    );
    let many = (0..=128).map(|number| RuleSpec { stop: true, ..rule(&number.to_string(), "") }).collect();
    assert_eq!(told(many), ["rule \"128\": rule: there are 129 rules, at most 128 are allowed"]);
}
