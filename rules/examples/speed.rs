//! Prints what rules cost on this machine: `cargo run --release -p visnyk-rules --example speed`.
//!
//! The results that were measured are in `docs/benchmarks.md`.

use std::time::{Duration, Instant};

use visnyk_rules::event::{Attributes, Event};
use visnyk_rules::rule::{MAX_RULES, OnError, RuleSpec, Rules, Selector};
use visnyk_rules::{Names, Priority, decide};

/// The old system's example event.
const BODY: &str = r#"{"objectName": "some_objectName", "objectId": "some_objectId",
"policyName": " Packet Loss alert test", "policyId": "877643hhh", "alertState": "raised",
"processedTimestamp": "1693921799999", "customer": "bmw", "from_city": "bolinas", "from_country": "us",
"from_edge": "c8500-clb5", "from_link": "some_link", "to_city": "bolinas", "to_country": "us",
"to_edge": "aiu71x-clb", "to_link": "inet_int", "triggeredValue": "7.143", "value": "4.0"}"#;

fn main() {
    let event = Event {
        source: "network",
        received_at_ms: 1_693_921_800_000,
        target: "/",
        headers: &[],
        attributes: Attributes::default(),
        body: BODY.as_bytes(),
        priority: Priority::Minor,
    };
    let whens: Vec<_> =
        (0..8).map(|_| selector("priority == 'Critical' && body.from_city == 'bolinas'")).collect();
    let of_kind =
        |number: usize| format!("body.policyId == 'policy-{number}' && double(body.triggeredValue) >= 5.0");
    let searched = |number: usize| format!("body.policyName.matches('(Link|Port) {number} (up|down)')");
    for (name, rules, destinations) in [
        ("no rules", compile(0, of_kind), &[][..]),
        ("no rules, `when` on 8 destinations", compile(0, of_kind), &whens),
        ("50 rules with field == 'constant'", compile(50, of_kind), &[]),
        ("50 rules with field == 'constant', `when` on 8", compile(50, of_kind), &whens),
        ("50 rules with a pattern", compile(50, searched), &[]),
    ] {
        let cost = decide(event, &rules, destinations).cost;
        let time = per_call(|| drop(std::hint::black_box(decide(event, &rules, destinations))));
        println!("{name}: {:.2} µs an event, cost {cost}", time.as_secs_f64() * 1e6);
    }
    for (name, condition) in [
        ("true || ...", largest("true||")),
        ("sums", largest("1+1+1+1+1>body.a||")),
        ("calls", largest("body.a.trim().size()>1||")),
    ] {
        let start = Instant::now();
        let rules = compile(MAX_RULES, |_| condition.clone());
        println!("compile {MAX_RULES} rules of {} bytes ({name}): {:?}", condition.len(), start.elapsed());
        drop(rules);
    }
    let start = Instant::now();
    compile(MAX_RULES, |number| format!("body.a.matches('[a-z0-9]{{{}}}x')", 300 + number));
    println!("compile {MAX_RULES} rules with a large pattern: {:?}", start.elapsed());
}

fn selector(when: &str) -> Selector {
    Selector::compile(Some(when), OnError::Deliver, &Names::default()).expect("the condition is valid")
}

fn compile(count: usize, when: impl Fn(usize) -> String) -> Rules {
    let rule = |number: usize| RuleSpec {
        name: number.to_string(),
        when: Some(when(number)),
        priority: Some(Priority::Critical),
        ..RuleSpec::default()
    };
    Rules::compile((0..count).map(rule).collect(), &[]).expect("the rules are valid")
}

/// Returns the longest condition of one unit that is accepted.
fn largest(unit: &str) -> String {
    let accepted = |count: usize| {
        let text = unit.repeat(count) + "true";
        Selector::compile(Some(&text), OnError::Deliver, &Names::default()).is_ok().then_some(text)
    };
    (1..=4096 / unit.len()).rev().find_map(accepted).unwrap_or_else(|| "true".to_owned())
}

/// Returns the shortest time of a call in five runs of a tenth of a second.
fn per_call(mut call: impl FnMut()) -> Duration {
    let mut run = || {
        let (start, mut calls) = (Instant::now(), 0_u32);
        while start.elapsed() < Duration::from_millis(100) {
            (0..100).for_each(|_| call());
            calls += 100;
        }
        start.elapsed() / calls
    };
    (0..5).map(|_| run()).min().unwrap_or_default()
}
