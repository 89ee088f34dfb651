//! Refusals, with their places, and limits.

use super::*;

fn compile(text: &str) -> Result<Expression, CompileError> {
    let labels = ["team".to_owned()];
    Expression::compile(text, Wanted::Bool, &Names { labels: Some(&labels) })
}

fn refusal(text: &str) -> String {
    match compile(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn expressions_of_the_documentation_compile() {
    for text in [
        "body.policyName.contains('Packet Loss') && double(body.triggeredValue) >= 5.0",
        "headers['x-environment'] == 'staging'",
        "priority in ['Critical', 'Major']",
        "has(body.alert.site) && body['alert'].site.matches('^ky.v$')",
        "body.hops.exists(hop, hop.loss > 5 && hop.name != 'edge')",
        "['eth0', 'eth1'].exists(port, body.text.contains(port))",
        "received.getHours('Europe/Kyiv') >= 18 || received.getDayOfWeek('Europe/Kyiv') in [0, 6]",
        "received - timestamp(int(body.processedTimestamp) / 1000) > duration('1h')",
        "'x-retry' in headers && query.site == 'a' && labels.team == 'network' && attributes.type == 'push'",
        "body.impact * body.likelihood > 20 ? source == 'a' : source != 'b' // a comment",
    ] {
        compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn refusal_names_line_column_and_reason() {
    let mut differing = Vec::new();
    for (text, expected) in [
        ("body.a ==", "line 1, column 10: mismatched input '<EOF>' expecting expression"),
        (
            "body.a == 'x' &&\n  sorce == 'y'",
            "line 2, column 3: \"sorce\" is not a variable; there are body, headers, source, query, received, attributes, priority, labels",
        ),
        (
            "true && body.a.reverse() == 'a'",
            "line 1, column 23: \"reverse\" is not a function; there are contains, startsWith, endsWith, matches, lowerAscii, upperAscii, trim, size, int, double, string, bool, timestamp, duration, getFullYear, getMonth, getDate, getDayOfWeek, getHours, getMinutes, getSeconds, has, exists, all",
        ),
        ("body.a.contains('x', 'y')", "line 1, column 16: contains needs 1 arguments, not 2"),
        ("contains('x', 'y')", "line 1, column 1: contains is called as value.contains(...)"),
        ("body.a.double() > 1.0", "line 1, column 14: double is called as double(value)"),
        ("received.getHours('UTC', 'x') > 1", "line 1, column 18: getHours needs at most 1 arguments, not 2"),
        (
            "received.getHours('Kyiv') > 1",
            "line 1, column 18: \"Kyiv\" is not a time zone such as Europe/Kyiv",
        ),
        ("'x' > 5", "line 1, column 5: a string cannot be compared with a number"),
        ("source == 5", "line 1, column 8: a string never equals a number"),
        ("source in ['a', 5]", "line 1, column 17: a string never equals a number"),
        ("source + 'x' == 'y'", "line 1, column 8: + needs numbers, not a string and a string"),
        ("body.a + 'x' == 'y'", "line 1, column 8: + needs numbers, not any value and a string"),
        ("source", "line 1, column 1: must be a boolean, not a string"),
        ("source && true", "line 1, column 1: operand of && must be a boolean, not a string"),
        ("5.contains('x')", "line 1, column 1: argument of contains must be a string, not a number"),
        ("'a'.contains(5)", "line 1, column 14: argument of contains must be a string, not a number"),
        (
            "priority == 'Urgent'",
            "line 1, column 10: \"Urgent\" is not a priority; there are Critical, Major, Minor, Informational",
        ),
        (
            "priority in ['major']",
            "line 1, column 14: \"major\" is not a priority; there are Critical, Major, Minor, Informational",
        ),
        ("priority >= 'Major'", "line 1, column 10: priorities have no order in expressions: use == or in"),
        (
            "headers['X-Site'] == 'a'",
            "line 1, column 8: names of headers are in lowercase: headers['x-site']",
        ),
        ("headers == body", "line 1, column 1: headers needs a name: headers['...']"),
        (
            "attributes.subject == 'a'",
            "line 1, column 11: \"subject\" is not an attribute; there are type, id, source, time",
        ),
        ("labels.site == 'a'", "line 1, column 7: no rule sets the label \"site\""),
        ("body.a.matches(body.b)", "line 1, column 15: pattern of matches must be a constant string"),
        ("body.a.matches('a(')", "line 1, column 15: pattern is not valid: unclosed group"),
        (
            r"body.a.matches('\\w{900}')",
            "line 1, column 15: pattern needs more than 128 KiB: make it simpler",
        ),
        (
            "body.a.map(x, x + 1).size() > 1",
            "line 1, column 11: of the comprehensions only exists and all are supported",
        ),
        (
            "body.a.filter(x, x > 1).size() > 1",
            "line 1, column 14: of the comprehensions only exists and all are supported",
        ),
        (
            "body.a.exists_one(x, x > 1)",
            "line 1, column 18: of the comprehensions only exists and all are supported",
        ),
        (
            "body.a.exists(x, body.b.all(y, x == y))",
            "line 1, column 28: exists and all cannot stand in each other",
        ),
        (
            "body.a.exists(x, true) && body.a.exists(x, true) && body.a.exists(x, true) && body.a.exists(x, true) && body.a.exists(x, true)",
            "line 1, column 118: has more than 4 of exists and all",
        ),
        ("[1] == [1]", "line 1, column 1: a list can only stand right of `in`, or before .exists and .all"),
        ("{'a': 1}.a == 1", "line 1, column 1: maps and messages cannot be written in an expression"),
        ("b'x' == b'x'", "line 1, column 1: bytes and unsigned numbers are not supported"),
        (
            "timestamp('yesterday') < received",
            "line 1, column 1: \"yesterday\" is not a timestamp such as 2026-12-01T09:00:00Z",
        ),
        (
            "received - received > duration('soon')",
            "line 1, column 23: \"soon\" is not a duration such as 1h30m",
        ),
        ("source.name == 'a'", "line 1, column 7: a string has no field \"name\""),
        ("x.y(1)", "line 1, column 4: \"y\" is not a function; "),
        ("body.?a == 1", "line 1, column 5: unsupported syntax '.?'"),
    ] {
        let found = refusal(text);
        if !found.starts_with(expected) {
            differing.push(format!(
                "{text}
 found {found}
wanted {expected}"
            ));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn limits_on_length_depth_and_nodes_hold() {
    let longest = format!("source == '{}'", "x".repeat(MAX_BYTES - 12));
    assert_eq!(longest.len(), MAX_BYTES);
    compile(&longest).unwrap();
    assert!(refusal(&(longest + " ")).ends_with("has 4097 bytes, more than 4096"));

    let nested = |depth: usize| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    compile(&nested(31)).unwrap();
    assert!(refusal(&nested(32)).ends_with("is deeper than 32"));
    let sum = |terms: usize| format!("body{} > 1", "+1".repeat(terms));
    compile(&sum(29)).unwrap();
    assert!(refusal(&sum(31)).ends_with("is deeper than 32"));
    let calls = |count: usize| format!("body{} == 'a'", ".trim()".repeat(count));
    compile(&calls(29)).unwrap();
    assert!(refusal(&calls(31)).ends_with("is deeper than 32"));
    assert!(refusal(&calls(500)).ends_with("is deeper than 32"));
    let conditional = |count: usize| format!("{}true", "true?true:".repeat(count));
    compile(&conditional(30)).unwrap();
    assert!(refusal(&conditional(400)).ends_with("is deeper than 32"));

    let any = |count: usize| vec!["true"; count].join("||");
    compile(&any(500)).unwrap();
    assert!(refusal(&any(501)).ends_with("has more than 1000 parts"));
    let items = |count: usize| format!("1 in [{}]", vec!["1"; count].join(","));
    compile(&items(998)).unwrap();
    assert!(refusal(&items(999)).ends_with("has more than 1000 parts"));
    assert!(refusal(&items(2000)).ends_with("has more than 2500 words and signs"));
}

#[test]
fn hostile_texts_are_refused_and_not_followed() {
    for unit in [
        "(",
        "[",
        "{",
        "!",
        "-",
        "a.f(",
        "a.exists(x,",
        "{a:",
        "a?",
        "'",
        "\"\"\"",
        "§",
        ")",
        "r'",
        "//",
        "`a",
        "0x",
        "a.?b",
        "\\",
    ] {
        let text = unit.repeat(MAX_BYTES / unit.len());
        let _ = compile(&text);
        let _ = compile(&format!("body.a == {text}"));
    }
}

#[test]
fn cost_of_a_pattern_grows_with_its_program() {
    let cost = |pattern: &str| Pattern::compile(pattern).unwrap().cost;
    assert_eq!(cost("Packet Loss"), 1);
    assert_eq!(cost("^(link|port) (up|down)$"), 1);
    assert!(cost("[a-z]{200}") > 1);
}
