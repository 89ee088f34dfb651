//! Pages that the disk does not give: read around, and only what lies in them is lost.

use super::world::{SEGMENT, World};
use crate::journal::Entry;

const PAGES: u64 = SEGMENT / 4096;

#[test]
fn unreadable_page_costs_exactly_its_records_over_a_restart() {
    for segment in 0..3 {
        for page in 0..PAGES {
            let mut world = World::filled();
            let file = world.segments().into_values().nth(segment).unwrap();
            world.lose_page(&file, usize::try_from(page).unwrap());
            world.check();
            world.kill();
            world.cut_power(7);
            world.check_alive();
        }
    }
}

#[test]
fn page_that_is_back_after_some_tries_costs_nothing() {
    let world = World::filled();
    let file = world.segments().into_values().next().unwrap();
    world.disk.lose_page(&file, 2);
    let mut reader = world.log.view().reader(0);
    for _ in 0..3 {
        assert!(reader.next().is_err());
    }
    world.disk.find_pages();
    let entries: Vec<_> = std::iter::from_fn(|| reader.next().unwrap()).collect();
    assert_eq!(entries, (1..=24).map(|seq| world.entry(seq)).collect::<Vec<_>>());

    // A start tries it more than three times, too. A try reads the page twice: with others, and alone.
    world.disk.lose_page_for(&file, 2, 6);
    assert_eq!(world.read(0), entries);
}

#[test]
fn file_that_gives_nothing_at_all_is_waited_for() {
    let world = World::filled();
    let file = world.segments().into_values().nth(1).unwrap();
    (0..PAGES).for_each(|page| world.disk.lose_page(&file, page));
    let mut reader = world.log.view().reader(0);
    let mut read = 0;
    while let Ok(Some(Entry::Record { .. })) = reader.next_insisting() {
        read += 1;
    }
    assert!((1..24).contains(&read), "{read}");
    assert!(reader.next_insisting().is_err(), "the disk may be back");
    world.disk.find_pages();
    let rest: Vec<_> = std::iter::from_fn(|| reader.next().unwrap()).collect();
    assert_eq!(rest, (read + 1..=24).map(|seq| world.entry(seq)).collect::<Vec<_>>());
}

#[test]
fn end_that_cannot_be_read_is_a_torn_tail_and_not_as_if_it_had_never_been() {
    let mut world = World::new();
    assert_eq!(world.append(&[4_096 - 32]), 1);
    assert_eq!(world.append(&[100]), 1);
    let file = world.segments().into_values().next().unwrap();
    let (_, second) = world.frame_of(2);
    world.lose_page(&file, second / 4096);
    assert!(!world.damaged.contains(&1), "only the second is hit");
    let recovery = world.kill();
    assert_eq!((recovery.next_seq, recovery.torn_tail), (3, 1));
    assert_eq!(world.read(0), [world.entry(1), Entry::Void { first: 2, last: 2 }]);

    // Where the state has seen it, it is damaged.
    let mut world = World::new();
    assert_eq!(world.append(&[4_096 - 32]), 1);
    assert_eq!(world.append(&[100]), 1);
    let file = world.segments().into_values().next().unwrap();
    world.lose_page(&file, second / 4096);
    world.state_max = 2;
    assert_eq!(world.kill().torn_tail, 0);
    assert_eq!(world.read(0), [world.entry(1), Entry::Damaged { first: 2, last: 2 }]);
}
