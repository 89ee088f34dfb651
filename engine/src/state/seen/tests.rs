use super::*;

const RESERVE: u64 = 1 << 30;

fn event(number: u64, until_ms: i64) -> SeenEvent {
    SeenEvent { key: key(number), event: Uuid::from_u128(number.into()), until_ms }
}

fn key(number: u64) -> Key {
    Key::new("shop", None, &number.to_string())
}

fn open() -> Seen {
    Seen::open(Vec::new(), 0, RESERVE)
}

/// Accepts an event that must be the first of its key.
fn accept(seen: &mut Seen, number: u64, until_ms: i64) {
    assert!(matches!(seen.begin(key(number), 0, 0), First::Yes), "{number}");
    seen.complete(key(number), Some(event(number, until_ms)));
}

fn is_repeat(seen: &mut Seen, number: u64, now_ms: i64) -> bool {
    match seen.begin(key(number), now_ms, 0) {
        First::No(event) => {
            assert_eq!(event, Uuid::from_u128(number.into()));
            true
        }
        First::Yes => {
            seen.complete(key(number), None);
            false
        }
        First::Wait(_) => panic!("{number} is in flight"),
    }
}

#[test]
fn keys_differ_by_source_origin_and_id_and_by_nothing_else() {
    let keys = [
        Key::new("a", None, "1"),
        Key::new("b", None, "1"),
        Key::new("a", Some("o"), "1"),
        Key::new("a", None, "o1"),
        Key::new("a1", None, ""),
    ];
    for (index, one) in keys.iter().enumerate() {
        assert!(!keys[..index].contains(one), "{index}");
    }
    assert_eq!(Key::new("a", Some("o"), "1"), keys[2]);
}

#[test]
fn repeat_is_known_until_its_time_is_over() {
    let mut seen = open();
    accept(&mut seen, 1, 1_000);
    assert!(is_repeat(&mut seen, 1, 999));
    assert!(!is_repeat(&mut seen, 1, 1_000));
    assert!(!is_repeat(&mut seen, 2, 0));
}

#[tokio::test]
async fn repeat_of_an_event_in_flight_waits_for_what_becomes_of_it() {
    let mut seen = open();
    assert!(matches!(seen.begin(key(1), 0, 0), First::Yes));
    let First::Wait(mut wait) = seen.begin(key(1), 0, 0) else { panic!("not waiting") };
    assert!(!wait.has_changed().unwrap(), "nothing became of it yet");
    seen.complete(key(1), None);
    assert!(wait.changed().await.is_err());
    let First::Yes = seen.begin(key(1), 0, 0) else { panic!("the first was refused, so this is the first") };
    let First::Wait(mut wait) = seen.begin(key(1), 0, 0) else { panic!("not waiting") };
    seen.complete(key(1), Some(event(1, 10)));
    assert!(wait.changed().await.is_err());
    assert!(is_repeat(&mut seen, 1, 0));
}

#[test]
fn file_never_says_that_it_has_an_id_which_is_still_in_flight() {
    let mut seen = open();
    accept(&mut seen, 1, 10);
    assert!(matches!(seen.begin(key(2), 0, 7), First::Yes));
    let batch = seen.take_batch(9, 0);
    assert_eq!(
        (batch.through, batch.pages.len(), seen.kept_through()),
        (7, 1, 0),
        "2 may be anything above 7"
    );
    seen.committed(&batch);
    assert_eq!(seen.kept_through(), 7);
    seen.complete(key(2), Some(event(2, 10)));
    let batch = seen.take_batch(9, 0);
    assert_eq!((batch.through, &batch.pages[0].events[..]), (9, &[event(2, 10)][..]));
}

#[test]
fn ids_after_a_restart_come_from_the_file_and_from_the_journal() {
    let mut seen = open();
    (0..3_000).for_each(|number| accept(&mut seen, number, 1_000));
    let batch = seen.take_batch(3_000, 0);
    assert_eq!(batch.pages.iter().map(|page| page.events.len()).collect::<Vec<_>>(), [1024, 1024, 952]);
    seen.committed(&batch);

    let mut again = Seen::open(batch.pages.clone(), batch.through, RESERVE);
    assert_eq!((again.len(), again.kept_through()), (3_000, 3_000));
    again.remember(event(2_999, 1_000));
    again.remember(event(3_000, 1_000));
    assert!((0..=3_000).all(|number| is_repeat(&mut again, number, 0)));
    let next = again.take_batch(3_001, 0);
    assert_eq!(next.pages, [SeenPage { row: 4, events: vec![event(3_000, 1_000)] }]);
}

#[test]
fn failed_batch_is_written_with_the_next() {
    let mut seen = open();
    accept(&mut seen, 1, 10);
    let batch = seen.take_batch(1, 0);
    seen.failed(batch);
    accept(&mut seen, 2, 10);
    let batch = seen.take_batch(2, 0);
    let mut events: Vec<_> = batch.pages.iter().flat_map(|page| page.events.clone()).collect();
    events.sort_unstable_by_key(|event| event.event);
    assert_eq!(events, [event(1, 10), event(2, 10)]);
    assert_eq!(seen.kept_through(), 0);
}

#[test]
fn rows_go_when_their_time_is_over_and_ids_that_came_again_stay() {
    let mut seen = open();
    accept(&mut seen, 1, 1_000);
    accept(&mut seen, 2, 1_000);
    let first = seen.take_batch(2, 0);
    // 1 comes again after its time.
    assert!(matches!(seen.begin(key(1), 1_000, 2), First::Yes));
    seen.complete(key(1), Some(event(1, 2_000)));
    let second = seen.take_batch(3, 1_000);
    assert_eq!(second.gone, [first.pages[0].row]);
    assert_eq!((seen.len(), seen.forgotten()), (1, 0));
    assert!(is_repeat(&mut seen, 1, 1_999));
}

#[test]
fn oldest_ids_are_forgotten_and_counted_when_there_are_too_many() {
    // Room for 2,048.
    let mut seen = Seen::open(Vec::new(), 0, 2_048 * COST * SHARE * 4 / 3);
    assert_eq!(seen.max_len, 2_048);
    for number in 0..2_048 {
        accept(&mut seen, number, 1_000);
        if number % 1024 == 1023 {
            let batch = seen.take_batch(number, 0);
            assert!(batch.gone.is_empty());
            seen.committed(&batch);
        }
    }
    assert_eq!((seen.len(), seen.forgotten()), (2_048, 0));
    accept(&mut seen, 2_048, 1_000);
    assert_eq!((seen.len(), seen.forgotten()), (1_025, 1_024));
    assert!(!is_repeat(&mut seen, 1_023, 0));
    assert!(is_repeat(&mut seen, 1_024, 0));
    assert_eq!(seen.take_batch(2_048, 0).gone, [1]);

    // The file cannot be written for long.
    for number in 3_000..9_000 {
        accept(&mut seen, number, 1_000);
        let batch = seen.take_batch(number, 0);
        seen.failed(batch);
        assert!(seen.len() <= 2_048);
    }
}
