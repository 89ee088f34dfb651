//! Disks that fail, fill up and lose power.

use std::io::ErrorKind;

use super::world::{SEGMENT, World, options};
use crate::journal::sim::{Operation, SimDisk};
use crate::journal::{AppendError, Appended, Disk, Entry, WriteState};
use bytes::Bytes;

fn all(world: &World) -> Vec<Entry> {
    (1..=world.log.view().watermark()).map(|seq| world.entry(seq)).collect()
}

#[test]
fn failed_batch_is_written_to_another_file_and_its_file_left_alone() {
    for operation in [Operation::Write, Operation::Sync] {
        let mut world = World::new();
        world.append(&[100]);
        let poisoned = world.segments().into_values().next().unwrap();
        let touched = world.disk.touched(&poisoned).unwrap();
        world.fail(operation, 0, 1);
        assert_eq!(world.append(&[100, 100]), 2);
        assert_eq!(world.append(&[100]), 1);
        assert_eq!(world.log.write_state(), &WriteState::Writable);
        let failed = if operation == Operation::Write { 1 } else { 2 };
        assert_eq!(world.disk.touched(&poisoned), Some(touched + failed));
        // The records of the failed batch lie in both files, as far as the failed one was written.
        assert_eq!(world.segments().len(), 2);
        assert_eq!(world.read(0), all(&world));
        world.kill();
        assert_eq!(world.read(0), all(&world));
        world.cut_power(3);
        world.free(world.log.view().watermark());
        world.log.view().tidy();
    }
}

#[test]
fn poisoned_file_is_removed_once_it_is_free() {
    let mut world = World::new();
    world.append(&[100]);
    let poisoned = world.segments().into_values().next().unwrap();
    world.fail(Operation::Sync, 0, 1);
    world.append(&[100]);
    world.free(1);
    world.log.view().tidy();
    assert_eq!(world.disk.content(&poisoned), None);
}

#[test]
fn batch_that_fails_twice_is_refused_as_is_all_until_a_probe_works() {
    let mut world = World::new();
    world.append(&[100]);
    world.fail(Operation::Sync, 0, u32::MAX);
    let refused = Appended { first: 2, accepted: 0, refusal: Some(AppendError::Unavailable) };
    assert_eq!(world.log.append_batch(&[Bytes::from_static(b"refused")]), refused);
    assert_eq!(world.log.write_state(), &WriteState::Failing { reason: "other error".into() });
    let operations = world.disk.operations();
    assert_eq!(world.log.append_batch(&[Bytes::from_static(b"refused")]), refused);
    assert_eq!(world.disk.operations(), operations, "the disk is left in peace");
    world.log.probe();
    assert!(matches!(world.log.write_state(), WriteState::Failing { .. }));
    world.disk.heal();
    world.log.probe();
    assert_eq!(world.log.write_state(), &WriteState::Writable);
    assert_eq!(world.append(&[100]), 1);
    assert_eq!(world.read(0), all(&world), "what was refused left no trace");
    world.kill();
}

#[test]
fn segments_in_which_nothing_could_be_written_do_not_pile_up() {
    let mut world = World::new();
    world.append(&[100]);
    for _ in 0..50 {
        // The header goes well, the batch does not; every time.
        for _ in 0..4 {
            world.fail(Operation::Write, 0, 1);
        }
        world.append(&[100]);
        world.disk.heal();
        world.log.probe();
    }
    assert!(world.disk.list().unwrap().len() <= 5, "{:?}", world.disk.list());
    world.check_alive();
}

#[test]
fn starts_use_up_no_segments() {
    let mut world = World::new();
    for seed in 0..40 {
        assert_eq!(world.append(&[16]), 1, "start {seed}");
        if seed % 2 == 0 {
            world.kill()
        } else {
            world.cut_power(seed)
        };
    }
    assert_eq!((world.read(0), world.segments().len()), (all(&world), 1));
    // Filled to its end all the same, and the next one begun.
    while world.segments().len() == 1 {
        assert_eq!(world.append(&[1_000, 16]), 2);
        world.kill();
    }
    assert_eq!(world.read(0), all(&world));
    world.check_alive();
}

#[test]
fn segment_of_which_anything_is_in_doubt_is_not_gone_on_in() {
    for harm in 0..3 {
        let mut world = World::new();
        assert_eq!(world.append(&[100, 100]), 2);
        let (file, frame) = world.frame_of(2);
        match harm {
            // The last record is damaged, a frame was begun behind it, or the state has seen more.
            0 => world.damage(&file, |content| content[frame + 40] ^= 1),
            1 => world.damage(&file, |content| content[frame + 136..frame + 144].fill(0xff)),
            _ => world.state_max = 3,
        }
        let touched = world.disk.touched(&file).unwrap();
        let next_seq = world.try_open().unwrap().1.next_seq;
        world.log = world.try_open().unwrap().0;
        // What the recovery writes once more, and syncs.
        let touched = touched + 3 * 2;
        assert_eq!(world.log.append_batch(&[Bytes::from_static(b"next")]).first, next_seq);
        assert_eq!((world.disk.touched(&file), world.segments().len()), (Some(touched), 2), "harm {harm}");
    }
}

/// With several stale segments ready, so that no new file, and no sync of the folder, is needed for long.
fn with_stale_segments() -> World {
    let mut world = World::new();
    while world.append(&[3_000]) == 1 {}
    world.free(world.log.view().watermark() - 2);
    assert_eq!(world.append(&[8_000]), 1);
    world.kill();
    world
}

#[test]
fn segment_is_left_behind_when_the_header_of_the_next_one_fails() {
    // That header may be on the disk, and then owns what comes next, whatever the old segment says.
    for seed in 0..50 {
        let mut world = with_stale_segments();
        assert_eq!(world.append(&[16]), 1);
        world.disk.fail(Operation::Write, 0, 1, ErrorKind::StorageFull);
        assert_eq!(world.append(&[options().max_record()]), 0);
        assert_eq!(world.append(&[16]), 1);
        world.cut_power(seed);
    }
}

#[test]
fn file_whose_removal_was_not_synced_does_not_come_back() {
    for seed in 0..50 {
        let mut world = with_stale_segments();
        // One gets half a header and is removed.
        world.disk.fail(Operation::Write, 0, 1, ErrorKind::StorageFull);
        assert_eq!(world.append(&[8_000]), 0);
        world.kill();
        assert_eq!(world.append(&[8_000]), 1);
        world.cut_power(seed);
    }
}

#[test]
fn space_that_the_disk_only_promised_is_noticed_before_it_is_needed() {
    let mut world = World::new();
    world.append(&[16]);
    let files = world.disk.list().unwrap();
    world.disk.fail(Operation::Sync, 0, 1, ErrorKind::StorageFull);
    world.log.view().tidy();
    assert!(!world.log.view().has_next());
    assert_eq!(world.disk.list().unwrap(), files);
}

#[test]
fn disk_that_takes_writes_and_cannot_sync_is_still_failing() {
    let mut world = World::new();
    world.append(&[100]);
    world.fail(Operation::Sync, 0, 2);
    assert_eq!(world.append(&[100]), 0);
    world.log.view().tidy();
    assert!(world.log.view().has_next(), "so that the probe need not sync anything but a header");
    world.fail(Operation::Sync, 0, 1);
    world.log.probe();
    assert!(matches!(world.log.write_state(), WriteState::Failing { .. }));
    world.log.probe();
    assert_eq!(world.log.write_state(), &WriteState::Writable);
}

#[test]
fn bytes_of_a_failed_sync_are_written_again_before_they_are_read() {
    let mut world = World::new();
    world.append(&[100]);
    world.log.view().tidy();
    world.fail(Operation::Sync, 0, 1);
    world.disk.fail(Operation::Open, 0, 1, ErrorKind::Other);
    assert_eq!(world.append(&[100]), 0);
    // The next process finds the refused record, takes it for accepted, and tells a destination.
    world.kill();
    assert_eq!(world.accepted.len(), 2);
    world.state_max = 2;
    world.cut_power(1);
    assert_eq!(world.read(0), all(&world));
}

#[test]
fn full_disk_is_full_and_what_is_freed_is_used() {
    let mut world = World::new();
    world.append(&[100]);
    world.log.view().tidy();
    world.disk.set_capacity(Some(3 * SEGMENT));
    while world.append(&[4_000]) == 1 {}
    assert_eq!(world.log.write_state(), &WriteState::Full);
    let record = Bytes::from(vec![1; 4_000]);
    let refusal = world.log.append_batch(&[record]).refusal;
    assert_eq!(refusal, Some(AppendError::Full));
    assert_eq!(world.disk.list().unwrap().len(), 3, "no half-made file is left");
    assert_eq!(world.read(0), all(&world));
    world.kill();
    world.free(2);
    world.log.probe();
    assert_eq!(world.log.write_state(), &WriteState::Writable);
    assert_eq!(world.append(&[4_000]), 1);
    world.check();
}

#[test]
fn bound_is_kept_and_reaching_it_is_full() {
    let mut world = World::new();
    let size = |disk: &SimDisk| -> u64 {
        disk.list().unwrap().iter().map(|name| disk.content(name).unwrap().len() as u64).sum()
    };
    let mut accepted = 0;
    while world.append(&[3_000, 3_000]) == 2 {
        accepted += 2;
        assert!(size(&world.disk) <= options().max_size);
    }
    assert_eq!(size(&world.disk), options().max_size);
    assert_eq!(world.log.write_state(), &WriteState::Full);
    assert!(accepted >= 22, "{accepted}");
    world.check();
    world.kill();
    assert_eq!(world.append(&[8_000]), 0);
    world.check_alive();
}

#[test]
fn freed_segments_are_used_again_under_their_own_names() {
    let mut world = World::new();
    let mut names = Vec::new();
    for round in 0..200 {
        assert_eq!(world.append(&[3_000]), 1);
        world.log.view().tidy();
        world.free(world.log.view().watermark());
        match round {
            20 => names = world.disk.list().unwrap(),
            21.. => assert_eq!(world.disk.list().unwrap(), names),
            _ => {}
        }
    }
    assert!(names.len() <= 4, "{names:?}");
    world.kill();
}

#[test]
fn large_backlog_once_read_is_given_back_to_the_disk() {
    let mut world = World::new();
    while world.append(&[3_000]) == 1 {}
    world.free(world.log.view().watermark());
    world.log.view().tidy();
    assert!(world.disk.list().unwrap().len() <= 3, "{:?}", world.disk.list());
    world.check_alive();
}

#[test]
fn stale_segments_are_not_live_again_after_opening() {
    let mut world = World::new();
    while world.append(&[3_000]) == 1 {}
    let watermark = world.log.view().watermark();
    world.free(watermark - 6);
    // The next header says so on the disk.
    assert_eq!(world.append(&[3_000]), 1);
    assert_eq!(world.append(&[8_000]), 1);
    let oldest = world.log.view().catalog().oldest_seq();
    let recovery = world.kill();
    assert_eq!(Some(recovery.oldest_seq), oldest);
    assert_eq!(recovery.segments, world.log.view().catalog().len());
    assert!(world.segments().len() > recovery.segments, "there is a stale one to be ignored");
}

#[test]
fn reader_survives_errors_of_the_disk() {
    let mut world = World::new();
    world.append(&[100; 5]);
    let mut reader = world.log.view().reader(0);
    world.fail(Operation::Open, 0, 1);
    assert_eq!(reader.next().unwrap_err().to_string(), "cannot read journal segment 000000.seg");
    world.fail(Operation::Read, 0, u32::MAX);
    reader.next().unwrap_err();
    world.disk.heal();
    assert_eq!(std::iter::from_fn(|| reader.next().unwrap()).collect::<Vec<_>>(), all(&world));
}

#[test]
fn unreadable_disk_is_no_empty_journal() {
    let mut world = World::new();
    world.append(&[100; 5]);
    for operation in [Operation::List, Operation::Open, Operation::Read, Operation::Sync, Operation::SyncDir]
    {
        world.fail(operation, 0, u32::MAX);
        world.try_open().map(|_| ()).unwrap_err();
        world.disk.heal();
    }
    world.kill();
    assert_eq!(world.read(0), all(&world));
}

#[test]
fn reader_left_behind_by_recycling_says_so_and_shows_nothing_foreign() {
    let mut world = World::new();
    while world.append(&[3_000]) == 1 {}
    let mut reader = world.log.view().reader(0);
    assert_eq!(reader.next().unwrap(), Some(world.entry(1)));
    let watermark = world.log.view().watermark();
    world.free(watermark);
    while world.log.view().catalog().oldest_seq() <= Some(watermark - 4) {
        world.append(&[3_000]);
    }
    for _ in 0..10 {
        world.append(&[3_000]);
        world.free(world.log.view().watermark());
    }
    let oldest = world.log.view().catalog().oldest_seq().unwrap();
    assert_eq!(reader.next().unwrap(), Some(Entry::Damaged { first: 2, last: watermark }));
    assert_eq!(reader.next().unwrap(), Some(Entry::Damaged { first: watermark + 1, last: oldest - 1 }));
    assert_eq!(reader.next().unwrap(), Some(world.entry(oldest)));
}
