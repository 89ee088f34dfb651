//! Validates rules and conditions: each expression is compiled, so that a mistake is refused with its place before any
//! relay reads it.

use visnyk_rules::{Names, Place, RuleSpec, Rules, ScoreSpec, Selector, Threshold};

use crate::api;
use crate::problem::{FieldPath, Problems};

/// Compiles all rules. `None`: there are mistakes, which are noted.
pub(super) fn rules(
    rules: &[api::Rule],
    sources: &[api::Source],
    place: &FieldPath,
    problems: &mut Problems,
) -> Option<Rules> {
    let sources: Vec<String> = sources.iter().map(|source| source.name.to_string()).collect();
    let compiled = Rules::compile(rules.iter().map(spec).collect(), &sources);
    let found = compiled.map_err(|found| {
        for problem in found {
            problems.add(at(place.item(problem.index), &problem.place), told(&problem.rule, &problem.reason));
        }
    });
    found.ok()
}

/// Compiles the condition of a destination. `labels` are those that rules set.
pub(super) fn selector(
    destination: &api::Destination,
    labels: &[String],
    place: &FieldPath,
    problems: &mut Problems,
) -> Option<Selector> {
    let when = destination.when.as_deref();
    let names = Names { labels: Some(labels) };
    problems.note(
        place.field("when"),
        Selector::compile(when, destination.on_error.into(), &names).map_err(|error| error.to_string()),
    )
}

/// Returns the labels that rules set, for conditions that are compiled although a rule has a mistake.
pub(super) fn labels(rules: &[api::Rule]) -> Vec<String> {
    rules.iter().flat_map(|rule| rule.labels.keys().cloned()).collect()
}

fn spec(rule: &api::Rule) -> RuleSpec {
    RuleSpec {
        name: rule.name.to_string(),
        from: rule.from.iter().map(ToString::to_string).collect(),
        when: rule.when.as_ref().map(ToString::to_string),
        drop: rule.drop.is_some(),
        priority: rule.priority.map(Into::into),
        score: rule.score.as_ref().map(score),
        labels: rule.labels.iter().map(|(name, value)| (name.clone(), value.to_string())).collect(),
        stop: rule.stop.is_some(),
    }
}

fn score(score: &api::Score) -> ScoreSpec {
    let threshold =
        |one: &api::Threshold| Threshold { at_least: one.at_least.into(), priority: one.priority.into() };
    ScoreSpec { value: score.value.to_string(), thresholds: score.thresholds.iter().map(threshold).collect() }
}

fn at(rule: FieldPath, place: &Place) -> FieldPath {
    match place {
        Place::Rule => rule,
        Place::Name => rule.field("name"),
        Place::From(index) => rule.field("from").item(*index),
        Place::When => rule.field("when"),
        Place::Score => rule.field("score").field("value"),
        Place::Thresholds => rule.field("score").field("thresholds"),
        Place::Label(name) => rule.field("labels").field(name),
    }
}

fn told(rule: &str, reason: &str) -> String {
    format!("rule {rule:?}: {reason}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::manifest::load_relay;
    use crate::valid::Priority;

    fn manifest(rules: &serde_json::Value, when: &str) -> String {
        json!({
            "apiVersion": "visnyk.dev/v1alpha1",
            "kind": "WebhookRelay",
            "metadata": { "name": "harbour" },
            "spec": {
                "listener": { "tls": { "none": {} } },
                "spool": { "ephemeral": {} },
                "sources": [{ "name": "sea", "path": "/", "verify": { "none": {} }, "priority": "Major" }],
                "rules": rules,
                "destinations": [{ "name": "quay", "url": "https://quay.example.org/", "when": when, "onError": "DeadLetter" }],
            },
        })
        .to_string()
    }

    fn refusals(rules: &serde_json::Value, when: &str) -> Vec<String> {
        let problems = load_relay(&manifest(rules, when), None).unwrap_err();
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn mistake_in_an_expression_is_named_with_rule_line_and_column() {
        let rules = json!([
            { "name": "first", "from": ["lake"], "when": "true &&\n body.a.reverse()", "priority": "Major" },
            { "name": "second", "labels": { "team": "received" } },
        ]);
        let told = refusals(&rules, "labels.site == 'a'");
        let starts = [
            "spec.destinations[0].when: line 1, column 7: no rule sets the label \"site\"",
            "spec.rules[0].from[0]: rule \"first\": \"lake\" is not the name of a source of this relay",
            "spec.rules[0].when: rule \"first\": line 2, column 16: \"reverse\" is not a function; there are contains",
            "spec.rules[1].labels.team: rule \"second\": line 1, column 1: must be a string, a number or a boolean, not a timestamp",
        ];
        assert_eq!(told.len(), starts.len(), "{told:#?}");
        for (told, start) in told.iter().zip(starts) {
            assert!(told.starts_with(start), "{told}");
        }
    }

    #[test]
    fn rules_are_compiled_with_their_sources_and_labels() {
        let rules = json!([{ "name": "first", "from": ["sea"], "labels": { "team": "'a'" }, "stop": {} }]);
        let valid = load_relay(&manifest(&rules, "labels.team == 'a'"), None).unwrap();
        assert_eq!(valid.rules.labels(), ["team"]);
        assert_eq!(valid.sources[0].priority, Priority::Major);
        assert_eq!(valid.destinations[0].selector.when(), Some("labels.team == 'a'"));
    }

    #[test]
    fn manifest_that_no_config_map_can_hold_is_refused() {
        let long = format!("source == '{}'", "x".repeat(4000));
        let labels: serde_json::Map<_, _> = (0..4)
            .map(|number| (format!("label{number}"), json!(format!("'{}'", "x".repeat(4000)))))
            .collect();
        let rules: Vec<_> = (0..100)
            .map(|number| json!({ "name": format!("r{number}"), "when": long, "labels": labels }))
            .collect();
        let told = refusals(&json!(rules), "true");
        assert!(told.len() == 1 && told[0].contains("a ConfigMap holds 1 MiB"), "{told:?}");
    }
}
