use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

/// Answers of a destination under load, by a clock of its own. It is asked for as much as the limit allows.
struct Simulation {
    limit: ConcurrencyLimit,
    now: Duration,
    /// Requests in flight by the time of their end.
    in_flight: BTreeMap<(Duration, u64), (Era, Duration, Outcome)>,
    requests: u64,
    most: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Answered,
    Failed,
    Refused,
}

impl Simulation {
    fn new(max: usize) -> Self {
        Self {
            limit: ConcurrencyLimit::new(max),
            now: Duration::ZERO,
            in_flight: BTreeMap::new(),
            requests: 0,
            most: 0,
        }
    }

    /// Sends for this long. `destination` says after how long a request ends that is the last of so many, and how.
    fn run(&mut self, time: Duration, mut destination: impl FnMut(u64, usize) -> (Duration, Outcome)) {
        let end = self.now + time;
        while self.now < end {
            while self.in_flight.len() < self.limit.allowed() {
                self.requests += 1;
                let count = self.in_flight.len() + 1;
                let era = self.limit.begin(count);
                let (takes, outcome) = destination(self.requests, count);
                self.in_flight.insert((self.now + takes, self.requests), (era, takes, outcome));
                self.most = self.most.max(count);
            }
            let ((at, _), (era, takes, outcome)) = self.in_flight.pop_first().unwrap();
            self.now = at;
            match outcome {
                Outcome::Answered => self.limit.answered(era, takes),
                Outcome::Failed => self.limit.failed(era),
                Outcome::Refused => self.limit.refused(era),
            }
        }
    }
}

fn answered(takes: Duration) -> impl FnMut(u64, usize) -> (Duration, Outcome) {
    move |_, _| (takes, Outcome::Answered)
}

#[test]
fn limit_grows_from_8_to_its_maximum_while_answers_come_as_usual() {
    let mut simulation = Simulation::new(64);
    assert_eq!(simulation.limit.allowed(), 8);
    // A round trip for each that is added.
    simulation.run(50 * MS * 60, answered(50 * MS));
    assert_eq!((simulation.limit.allowed(), simulation.most), (64, 64));
}

#[test]
fn limit_that_is_not_reached_does_not_grow() {
    let mut limit = ConcurrencyLimit::new(64);
    for _ in 0..1_000 {
        let era = limit.begin(7);
        limit.answered(era, MS);
    }
    assert_eq!(limit.allowed(), 8);
}

#[test]
fn one_slow_answer_in_a_hundred_changes_nothing() {
    let mut simulation = Simulation::new(64);
    let slow =
        |request: u64, _| (if request.is_multiple_of(100) { 1_000 * MS } else { 2 * MS }, Outcome::Answered);
    simulation.run(10_000 * MS, slow);
    assert_eq!(simulation.limit.allowed(), 64);
}

#[test]
fn limit_shrinks_when_answers_slow_down_and_grows_when_that_is_usual() {
    let mut simulation = Simulation::new(64);
    simulation.run(5_000 * MS, answered(10 * MS));
    assert_eq!(simulation.limit.allowed(), 64);
    simulation.run(400 * MS, answered(100 * MS));
    let slowed = simulation.limit.allowed();
    assert!((20..60).contains(&slowed), "{slowed}");
    simulation.run(20_000 * MS, answered(100 * MS));
    assert_eq!(simulation.limit.allowed(), 64);
}

#[test]
fn destination_that_is_slower_the_more_it_has_is_not_buried() {
    // Up to 20 at once are as fast as one.
    let mut simulation = Simulation::new(1_000);
    simulation.run(30_000 * MS, |_, count| {
        let beyond = u32::try_from(count.saturating_sub(20)).unwrap();
        (5 * MS + MS * beyond.pow(3), Outcome::Answered)
    });
    assert!(simulation.most < 60, "{}", simulation.most);
    assert!(simulation.limit.allowed() >= 8, "{}", simulation.limit.allowed());
}

#[test]
fn destination_that_refuses_what_is_too_much_is_kept_near_what_it_takes() {
    let mut simulation = Simulation::new(1_000);
    let mut refused = 0;
    simulation.run(60_000 * MS, |_, count| {
        refused += u64::from(count > 20);
        (5 * MS, if count > 20 { Outcome::Refused } else { Outcome::Answered })
    });
    assert_eq!(simulation.most, 21);
    assert!(refused * 25 < simulation.requests, "{refused} of {}", simulation.requests);
}

#[test]
fn failures_shrink_the_limit_to_one_and_a_few_do_not() {
    let mut simulation = Simulation::new(64);
    simulation.run(5_000 * MS, answered(10 * MS));
    let failing_each = |each: u64| {
        move |request: u64, _| {
            (10 * MS, if request.is_multiple_of(each) { Outcome::Failed } else { Outcome::Answered })
        }
    };
    simulation.run(5_000 * MS, failing_each(20));
    assert_eq!(simulation.limit.allowed(), 64, "one in twenty is about the event");
    simulation.run(10_000 * MS, failing_each(1));
    assert_eq!(simulation.limit.allowed(), 1);
}

#[test]
fn burst_of_refusals_halves_the_limit_once() {
    let mut limit = ConcurrencyLimit::new(64).with_allowed(40);
    let begun: Vec<Era> = (1..=40).map(|count| limit.begin(count)).collect();
    for era in begun {
        limit.refused(era);
    }
    assert_eq!(limit.allowed(), 20);
    let era = limit.begin(1);
    limit.refused(era);
    assert_eq!(limit.allowed(), 10);
}

#[test]
fn destination_that_is_back_begins_with_8_again() {
    let mut limit = ConcurrencyLimit::new(64).with_allowed(40);
    let before = limit.begin(40);
    limit.start_anew();
    assert_eq!(limit.allowed(), 8);
    limit.refused(before);
    assert_eq!(limit.allowed(), 8, "what began before it was away says nothing");
    assert_eq!(limit.changed_to(3).allowed(), 3);
    assert_eq!(ConcurrencyLimit::new(0).allowed(), 1);
}

impl ConcurrencyLimit {
    fn with_allowed(self, allowed: usize) -> Self {
        Self { allowed, ..self }
    }
}

proptest! {
    #[test]
    fn limit_stays_between_1_and_its_maximum_and_grows_by_one(
        max in 0_usize..200,
        steps in proptest::collection::vec((0_usize..300, 0_u64..10_000, 0_u8..12, 0_u64..3), 0..2_000),
    ) {
        let mut limit = ConcurrencyLimit::new(max);
        let mut eras = vec![];
        for (in_flight, took, step, late) in steps {
            let before = limit.allowed();
            eras.push(limit.begin(in_flight));
            let era = eras[eras.len().saturating_sub(1 + usize::try_from(late).unwrap())];
            match step {
                0 => limit.failed(era),
                1 => limit.refused(era),
                2 => limit.start_anew(),
                3 => limit = limit.changed_to(max),
                _ => limit.answered(era, Duration::from_micros(took)),
            }
            prop_assert!((1..=max.max(1)).contains(&limit.allowed()));
            prop_assert!(limit.allowed() <= before + 1);
        }
    }
}
