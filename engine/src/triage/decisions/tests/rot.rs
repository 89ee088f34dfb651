//! Bits that change and pages that are lost: exactly the entries in them are missing, and none is another.

use rand::RngExt;

use super::*;

#[test]
fn flipped_bit_makes_its_entry_missing_and_changes_no_other() {
    let mut random = StdRng::seed_from_u64(20);
    for _ in 0..300 {
        let mut world = World::on(SimDisk::new());
        assert!(world.record(20));
        let name = world.files().remove(0);
        let index = random.random_range(0..20 * 32);
        let offset = 4096 + index;
        let byte = world.disk.content(&name).unwrap()[offset];
        world.disk.rot(&name, offset, byte ^ (1 << random.random_range(0..8)));
        let hit = 1 + index as u64 / 32;
        world.recorded.remove(&hit);
        world.reopen();
        assert_eq!(world.found(hit), None);
    }
}

#[test]
fn zeroed_entries_are_missing_and_not_default() {
    let mut world = World::on(SimDisk::new());
    assert!(world.record(200));
    let name = world.files().remove(0);
    for offset in 4096..4096 + 512 {
        world.disk.rot(&name, offset, 0);
    }
    world.recorded = world.recorded.split_off(&17);
    world.reopen();
    assert!((1..17).all(|seq| world.found(seq).is_none()));
}

#[test]
fn lost_page_makes_its_entries_missing_once_it_is_given_up() {
    let mut world = World::on(SimDisk::new());
    assert!(world.record(300));
    let name = world.files().remove(0);
    world.disk.lose_page(&name, 1);
    let segment = world.segments.last();
    assert!(world.decisions.recorded(&segment, 5, 5, false).is_err(), "another try may read it");
    world.recorded = world.recorded.split_off(&129);
    world.check();
    assert_eq!(world.found(128), None);
}

#[test]
fn lost_header_loses_no_more_than_its_file() {
    let mut world = World::on(SimDisk::new());
    assert!(world.record(5));
    world.roll();
    assert!(world.record(5));
    let name = world.files().remove(1);
    world.disk.rot(&name, 60, 0xee);
    world.recorded.split_off(&6);
    world.next = 6;
    world.reopen();
    assert!((6..=10).all(|seq| world.found(seq).is_none()));
    assert!(world.record(5));
    world.check();
    // One that is not the newest stays so.
    let name = world.files().remove(0);
    world.disk.rot(&name, 60, 0xee);
    world.decisions = world.try_open().unwrap();
    assert!((1..=5).all(|seq| world.found(seq).is_none()), "and none goes to everybody");
}
