use proptest::prelude::*;

use super::*;

const MIDDLE: f64 = 0.5;

fn opened(concurrency: usize, now: Instant) -> Breaker {
    let mut breaker = Breaker::new(concurrency);
    for _ in 0..OUTAGES_TO_OPEN {
        breaker.outage(breaker.generation(), now, MIDDLE);
    }
    breaker
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn opens_after_five_outages_in_a_row_and_not_before() {
    let now = Instant::now();
    let mut breaker = Breaker::new(16);
    for _ in 0..4 {
        breaker.outage(breaker.generation(), now, MIDDLE);
        assert_eq!((breaker.allowance(now), breaker.phase(now)), (Allowance::UpTo(16), Phase::Closed));
    }
    breaker.outage(breaker.generation(), now, MIDDLE);
    assert_eq!(breaker.allowance(now), Allowance::NotUntil(now + seconds(1)));
    assert_eq!(breaker.phase(now), Phase::Open);
}

#[test]
fn an_answer_begins_the_count_of_outages_anew() {
    let now = Instant::now();
    let mut breaker = Breaker::new(16);
    for _ in 0..10 {
        for _ in 0..4 {
            breaker.outage(breaker.generation(), now, MIDDLE);
        }
        breaker.answered(breaker.generation());
    }
    assert_eq!(breaker.phase(now), Phase::Closed);
}

#[test]
fn twenty_refusals_in_a_row_open_it_and_one_keeps_it_open() {
    let now = Instant::now();
    let mut breaker = Breaker::new(16);
    for _ in 0..3 {
        for _ in 0..19 {
            breaker.refused(breaker.generation(), now, MIDDLE);
        }
        assert_eq!(breaker.phase(now), Phase::Closed);
        breaker.answered(breaker.generation());
    }
    for _ in 0..20 {
        breaker.refused(breaker.generation(), now, MIDDLE);
    }
    assert_eq!(breaker.allowance(now), Allowance::NotUntil(now + seconds(1)));
    let later = now + seconds(1);
    breaker.refused(breaker.generation(), later, MIDDLE);
    assert_eq!(breaker.allowance(later), Allowance::NotUntil(later + seconds(2)));
    assert!(!breaker.trip(later, MIDDLE), "it is open already");
    breaker.answered(breaker.generation());
    assert!(breaker.trip(later, MIDDLE));
}

#[test]
fn half_open_is_one_request() {
    let now = Instant::now();
    let breaker = opened(16, now);
    let later = now + seconds(1);
    assert_eq!((breaker.allowance(later), breaker.phase(later)), (Allowance::UpTo(1), Phase::HalfOpen));
}

#[test]
fn each_failed_probe_doubles_the_open_span_up_to_a_minute() {
    let mut now = Instant::now();
    let mut breaker = opened(16, now);
    let mut spans = vec![];
    for _ in 0..9 {
        let Allowance::NotUntil(until) = breaker.allowance(now) else { panic!("not open") };
        spans.push((until - now).as_secs());
        now = until;
        breaker.outage(breaker.generation(), now, MIDDLE);
    }
    assert_eq!(spans, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn each_answer_doubles_the_allowed_concurrency_up_to_the_configured_one() {
    let now = Instant::now();
    let mut breaker = opened(11, now);
    let mut allowed = vec![];
    for _ in 0..5 {
        breaker.answered(breaker.generation());
        allowed.push((breaker.allowance(now), breaker.phase(now)));
    }
    assert_eq!(
        allowed,
        [
            (Allowance::UpTo(2), Phase::Recovering),
            (Allowance::UpTo(4), Phase::Recovering),
            (Allowance::UpTo(8), Phase::Recovering),
            (Allowance::UpTo(11), Phase::Closed),
            (Allowance::UpTo(11), Phase::Closed),
        ]
    );
}

#[test]
fn spans_begin_at_a_second_again_only_after_full_recovery() {
    let now = Instant::now();
    let again = |answers: usize| {
        let mut breaker = opened(4, now);
        for _ in 0..answers {
            breaker.answered(breaker.generation());
        }
        for _ in 0..OUTAGES_TO_OPEN {
            breaker.outage(breaker.generation(), now, MIDDLE);
        }
        breaker.allowance(now)
    };
    assert_eq!(again(1), Allowance::NotUntil(now + seconds(2)));
    assert_eq!(again(2), Allowance::NotUntil(now + seconds(1)));
}

#[test]
fn outcome_of_a_request_begun_before_the_opening_changes_nothing() {
    let now = Instant::now();
    let before = Breaker::new(16).generation();
    let mut breaker = opened(16, now);
    breaker.answered(before);
    breaker.outage(before, now + seconds(1), MIDDLE);
    assert_eq!(breaker.allowance(now), Allowance::NotUntil(now + seconds(1)));
}

proptest! {
    /// Whatever happens: what is allowed stays between one and the configured concurrency, and an
    /// open span between its jittered bounds.
    #[test]
    fn no_history_breaks_the_bounds(
        concurrency in 0_usize..2000,
        history in proptest::collection::vec((any::<bool>(), 0.0..1.0, 0_u64..100_000), 0..200),
    ) {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(concurrency);
        for (answered, random, milliseconds) in history {
            match breaker.allowance(now) {
                Allowance::UpTo(allowed) => prop_assert!((1..=concurrency.max(1)).contains(&allowed)),
                Allowance::NotUntil(until) => {
                    prop_assert!(until > now && until - now <= MAX_SPAN.mul_f64(1.2));
                    now = until;
                    prop_assert_eq!(breaker.allowance(now), Allowance::UpTo(1));
                }
            }
            if answered {
                breaker.answered(breaker.generation());
            } else {
                breaker.outage(breaker.generation(), now, random);
            }
            now += Duration::from_millis(milliseconds);
        }
    }
}
