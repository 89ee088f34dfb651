//! Rules over a real spool: what is dropped, filtered and delivered, over restarts and changes.

use visnyk_rules::{Names, OnError, Priority, RuleSpec, Rules, Selector};

use super::*;

/// Returns rules that drop events whose number is a multiple of 5, and a condition for each of these destinations.
fn ruling(conditions: &[(&str, Option<&str>, OnError)]) -> Ruling {
    let drop = RuleSpec {
        name: "fifth".into(),
        when: Some("body.number % 5 == 0".into()),
        drop: true,
        ..RuleSpec::default()
    };
    let rules = Rules::compile(vec![drop], &[]).unwrap();
    let selector = |(name, when, on_error): &(&str, Option<&str>, OnError)| {
        let names = Names { labels: Some(&[]) };
        ((*name).to_owned(), Selector::compile(*when, *on_error, &names).unwrap())
    };
    Ruling {
        rules,
        destinations: conditions.iter().map(selector).collect(),
        priorities: [("network".to_owned(), Priority::Major)].into(),
    }
}

fn even(remainder: u64) -> String {
    format!("body.number % 2 == {remainder}")
}

/// Accepts events with these numbers.
async fn accept(world: &World, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        world.accept(&format!("{{\"number\": {number}}}")).await;
    }
}

/// Returns the numbers of the events that a sink took, sorted.
fn numbers(sink: &Sink) -> Vec<u64> {
    let number = |request: &String| {
        let body: serde_json::Value = serde_json::from_str(request.split("\r\n\r\n").nth(1)?).ok()?;
        body["number"].as_u64()
    };
    let mut numbers: Vec<_> = sink.requests().iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn event_is_delivered_filtered_or_dropped_and_the_sum_adds_up() {
    let (sink, destination) = sink().await;
    let mut world = World::start(TempDir::new().unwrap(), outbound()).await;
    let condition = even(0);
    world.apply_with(&[destination], ruling(&[("sink", Some(&condition), OnError::Deliver)])).await;
    accept(&world, 1..=20).await;
    let status = world.until("nothing pending", |status| status.pending == 0).await;
    assert_eq!((status.delivered, status.filtered, status.dropped), (8, 8, 4));
    assert_eq!(numbers(&sink), [2, 4, 6, 8, 12, 14, 16, 18]);
    let counts = world.fleet.lock().await.report().triage.counts();
    assert_eq!((counts.dropped, counts.unmatched), ([("fifth".into(), 4)].into(), 8));
}

#[tokio::test]
async fn event_whose_condition_fails_is_a_dead_letter_if_that_is_asked_for() {
    let (sink, destination) = sink().await;
    let other = Destination { name: "other".into(), ..destination.clone() };
    let mut world = World::start(TempDir::new().unwrap(), outbound()).await;
    let wrong = Some("body.number.startsWith('a')");
    let conditions = [("sink", wrong, OnError::DeadLetter), ("other", wrong, OnError::Deliver)];
    world.apply_with(&[destination, other], ruling(&conditions)).await;
    accept(&world, 1..=1).await;
    let status = world.until("a dead letter", |status| status.dead_lettered == 1).await;
    assert_eq!(status.pending, 0);
    while world.status_of("other").delivered == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(numbers(&sink), [1], "for the other");
    let errors = world.fleet.lock().await.report().triage.counts().errors;
    assert_eq!(errors, [("other".into(), 1), ("sink".into(), 1)].into());
}

#[tokio::test]
async fn recorded_decisions_stand_after_a_restart_with_other_rules() {
    let (sink, destination) = sink().await;
    sink.set(Answer::ThenHang(String::new()));
    let mut world = World::start(TempDir::new().unwrap(), outbound()).await;
    let [before, after] = [even(0), even(1)];
    let destinations = [destination];
    world.apply_with(&destinations, ruling(&[("sink", Some(&before), OnError::Deliver)])).await;
    accept(&world, 1..=10).await;
    world.until("decided", |status| status.undecided == 0 && status.filtered > 0).await;
    let begun = sink.requests().len();

    let mut world = world.restart().await;
    sink.set(Answer::status("200 OK"));
    accept(&world, 11..=20).await;
    world.apply_with(&destinations, ruling(&[("sink", Some(&after), OnError::Deliver)])).await;
    world.until("nothing pending", |status| status.pending == 0).await;
    let taken: std::collections::BTreeSet<_> = numbers(&sink).into_iter().collect();
    assert_eq!(taken, [2, 4, 6, 8, 11, 13, 17, 19].into(), "{begun} were begun before");
    world.status();

    // Nor do rules that are gone take back what they decided.
    let mut world = world.restart().await;
    world.apply(&destinations).await;
    accept(&world, 21..=21).await;
    world.until("delivered", |status| status.pending == 0).await;
    assert!(numbers(&sink).contains(&21));
}

#[tokio::test]
async fn removed_destination_keeps_its_condition_over_a_restart() {
    let (sink, destination) = sink().await;
    let mut world = World::start(TempDir::new().unwrap(), outbound()).await;
    let [before, after] = [even(0), even(1)];
    world
        .apply_with(std::slice::from_ref(&destination), ruling(&[("sink", Some(&before), OnError::Deliver)]))
        .await;
    accept(&world, 1..=4).await;
    world.until("nothing pending", |status| status.pending == 0).await;
    world.apply_with(&[], ruling(&[])).await;
    accept(&world, 6..=9).await;
    world.until("decided", |status| status.undecided == 0).await;
    world.spool.commit_now().await.unwrap();

    let mut world = world.restart().await;
    world.apply_with(&[], ruling(&[])).await;
    accept(&world, 11..=14).await;
    world.until("decided", |status| status.undecided == 0).await;
    world.apply_with(&[destination], ruling(&[("sink", Some(&after), OnError::Deliver)])).await;
    accept(&world, 16..=19).await;
    world.until("nothing pending", |status| status.pending == 0).await;
    assert_eq!(numbers(&sink), [2, 4, 6, 8, 12, 14, 17, 19]);
}

#[tokio::test]
async fn rules_that_come_while_the_relay_runs_decide_what_is_not_handed_on() {
    let (sink, destination) = sink().await;
    let mut world = World::new(std::slice::from_ref(&destination)).await;
    accept(&world, 1..=5).await;
    world.until("delivered", |status| status.delivered == 5).await;
    let condition = even(0);
    world
        .apply_with(
            std::slice::from_ref(&destination),
            ruling(&[("sink", Some(&condition), OnError::Deliver)]),
        )
        .await;
    accept(&world, 6..=10).await;
    let status = world.until("nothing pending", |status| status.pending == 0).await;
    assert_eq!((status.delivered, status.filtered, status.dropped), (7, 2, 1));
    // And go again: each later event of the segment has an entry all the same.
    world.apply(&[destination]).await;
    accept(&world, 11..=15).await;
    let status = world.until("nothing pending", |status| status.pending == 0).await;
    assert_eq!((status.delivered, numbers(&sink).len()), (12, 12));
}
