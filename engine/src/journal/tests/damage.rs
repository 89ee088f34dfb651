//! Bits that flip, blocks that vanish, forged frames: exactly the records hit are lost.

use std::io::ErrorKind;
use std::sync::Arc;

use bytes::Bytes;

use super::world::{SEGMENT, World};
use crate::journal::frame::{self, Keys};
use crate::journal::header::{HEADER_BLOCK, Header};
use crate::journal::sim::{Operation, SimDisk};
use crate::journal::{Disk, Entry, Log, Options, Seq};

#[test]
fn flipped_bit_in_header_or_payload_loses_exactly_that_record() {
    for (seq, offset) in (1..=24).flat_map(|seq| [0, 4, 8, 16, 24, 31, 32, 150].map(|offset| (seq, offset))) {
        let mut world = World::filled();
        let (file, frame) = world.frame_of(seq);
        world.damage(&file, |content| content[frame + offset] ^= 4);
        let mut expected: Vec<_> = (1..=24).map(|seq| world.entry(seq)).collect();
        expected[usize::try_from(seq).unwrap() - 1] = Entry::Damaged { first: seq, last: seq };
        assert_eq!(world.read(0), expected, "record {seq}, byte {offset}");
        // After a restart, too; but nothing shows any more that the last batch was acknowledged.
        let recovery = world.kill();
        let is_last_batch = seq > 21;
        assert_eq!(recovery.torn_tail, u64::from(is_last_batch), "record {seq}, byte {offset}");
        if is_last_batch {
            expected[usize::try_from(seq).unwrap() - 1] = Entry::Void { first: seq, last: seq };
        }
        assert_eq!(world.read(0), expected, "record {seq}, byte {offset}, after a restart");
        world.check_alive();
    }
}

#[test]
fn what_the_state_has_seen_is_damaged_and_not_void_even_in_the_last_batch() {
    let mut world = World::filled();
    let (file, frame) = world.frame_of(23);
    world.damage(&file, |content| content[frame] ^= 1);
    world.state_max = 23;
    assert_eq!(world.kill().torn_tail, 0);
    assert_eq!(world.read(22), [Entry::Damaged { first: 23, last: 23 }, world.entry(24)]);
}

#[test]
fn zeroed_block_loses_the_records_in_it_and_no_others() {
    for sector in 0..SEGMENT / 512 - 8 {
        let mut world = World::filled();
        let file = world.segments().into_values().nth(1).unwrap();
        let start = usize::try_from(sector * 512).unwrap();
        world.damage(&file, |content| content[start..start + 4096].fill(0));
        if start > 0 && start < HEADER_BLOCK {
            // Both copies of the header are hit, and with them the salt of every record.
            let (records, view) = (world.accepted.clone(), world.payloads());
            world
                .damaged
                .extend(records.iter().filter(|(_, bytes)| view[*bytes].0 == file).map(|(seq, _)| seq));
            continue;
        }
        world.check();
        world.kill();
        world.check_alive();
    }
}

#[test]
fn copy_of_the_header_survives_a_zeroed_block() {
    for copy in 0..2 {
        for segment in 0..3 {
            let mut world = World::filled();
            let file = world.segments().into_values().nth(segment).unwrap();
            let block = copy * HEADER_BLOCK..(copy + 1) * HEADER_BLOCK;
            world.damage(&file, |content| content[block].fill(0));
            let recovery = world.kill();
            assert_eq!(recovery.notes, [format!("{file}: one of two copies of the header is lost")]);
            assert_eq!(world.read(0), (1..=24).map(|seq| world.entry(seq)).collect::<Vec<_>>());
        }
    }
}

#[test]
fn zeroes_over_a_refused_record_do_not_bring_it_back() {
    let mut world = World::new();
    assert_eq!(world.append(&[2_353]), 1);
    assert_eq!(world.append(&[1_457, 169, 16]), 3);
    world.disk.fail(Operation::Sync, 0, 1, ErrorKind::StorageFull);
    assert_eq!(world.append(&[16]), 0);
    let file = world.segments().into_values().next().unwrap();
    let data = 2 * HEADER_BLOCK;
    world.damage(&file, |content| content[data + 512..data + 4_608].fill(0));
    world.kill();
    world.cut_power(0);
    assert_eq!(world.read(0), [Entry::Void { first: 1, last: 1 }]);
    world.check_alive();
}

/// Three records, the second of which contains `inner`; then the second one's header is damaged.
fn with_a_frame_inside_a_body(inner: &[u8]) -> Vec<Entry> {
    let disk = SimDisk::new();
    let options = Options { segment_size: SEGMENT, max_size: 4 * SEGMENT, min_next_seq: 1 };
    let (mut log, _) = Log::open(Arc::new(disk.clone()), &options).unwrap();
    let body = [&[b'.'; 64], inner, &[b'.'; 64]].concat();
    for record in [b"one".to_vec(), body.clone(), b"three".to_vec()] {
        assert_eq!(log.append_batch(&[record.into()]).accepted, 1);
    }
    let content = disk.content("000000.seg").unwrap();
    let body_at = content.windows(body.len()).position(|window| window == body).unwrap();
    disk.rot("000000.seg", body_at - 32, !content[body_at - 32]);
    let mut reader = log.view().reader(0);
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

fn second_is_damaged() -> Vec<Entry> {
    let record =
        |seq: Seq, text: &'static str| Entry::Record { seq, bytes: Bytes::from_static(text.as_bytes()) };
    vec![record(1, "one"), Entry::Damaged { first: 2, last: 2 }, record(3, "three")]
}

#[test]
fn frame_forged_inside_a_body_is_not_taken_for_a_record() {
    let mut forged = Vec::new();
    for seq in [2, 3, 4] {
        frame::encode(&mut forged, Keys::new(0), seq, 1, b"forged");
    }
    assert_eq!(with_a_frame_inside_a_body(&forged), second_is_damaged());
}

#[test]
fn frame_copied_byte_for_byte_from_another_use_is_not_taken_for_a_record() {
    let mut older = World::new();
    older.append(&[100, 100, 100]);
    let (file, first) = older.frame_of(2);
    let frames = older.disk.content(&file).unwrap()[first..first + 2 * 136].to_vec();
    assert_eq!(with_a_frame_inside_a_body(&frames), second_is_damaged());
}

#[test]
fn frames_of_an_earlier_use_never_resurface() {
    let mut world = World::filled();
    let names = world.disk.list().unwrap();
    world.free(24);
    // The sequences go on, so that only the salt tells old from new.
    let last_file = |world: &World| world.frame_of(world.log.view().watermark());
    while last_file(&world).0 != names[0] {
        assert_eq!(world.append(&[48]), 1);
    }
    assert_eq!(world.disk.list().unwrap(), names, "the files are used again");
    let (file, frame) = last_file(&world);
    assert!(world.disk.content(&file).unwrap()[frame + 80 + 32..].iter().any(|byte| *byte != 0));
    world.check();
    assert_eq!(world.kill().torn_tail, 0, "left-overs are not a torn tail");
    world.cut_power(1);
}

#[test]
fn segment_used_again_and_still_empty_has_no_torn_tail() {
    let mut world = World::filled();
    world.free(24);
    // The only way to a header without a batch behind it.
    world.fail(Operation::Write, 0, 2);
    world.append(&[100]);
    world.disk.heal();
    world.log.probe();
    let file = world.segments().into_values().next_back().unwrap();
    let content = world.disk.content(&file).unwrap();
    assert!(content[2 * HEADER_BLOCK + 64..].iter().any(|byte| *byte != 0), "it was used before");
    assert_eq!(world.kill().torn_tail, 0);
}

#[test]
fn frame_with_an_impossible_sequence_is_no_record_even_with_the_salt() {
    let mut world = World::new();
    world.append(&[100]);
    world.append(&[200]);
    world.append(&[100]);
    let (file, frame) = world.frame_of(2);
    let header = Header::decode(&world.disk.content(&file).unwrap()[..HEADER_BLOCK]).unwrap();
    for seq in [1, 1_000_000, u64::MAX] {
        let mut forged = Vec::new();
        frame::encode(&mut forged, Keys::new(header.salt), seq, 1, b"forged");
        world.damage(&file, |content| {
            content[frame + 16] = 0xee;
            content[frame + 64..frame + 64 + forged.len()].copy_from_slice(&forged);
        });
        world.check();
    }
}

#[test]
fn batch_torn_by_a_power_cut_is_reported_and_what_is_whole_of_it_is_kept() {
    let mut world = World::new();
    world.append(&[100]);
    world.append(&[100, 100, 100]);
    // As if the power had gone during the sync: one sector of three is missing.
    let (file, frame) = world.frame_of(3);
    world.damage(&file, |content| content[frame + 32..frame + 132].fill(0));
    let recovery = world.kill();
    assert_eq!((recovery.torn_tail, recovery.next_seq), (1, 5));
    let void = Entry::Void { first: 3, last: 3 };
    assert_eq!(world.read(0), [world.entry(1), world.entry(2), void, world.entry(4)]);
    assert_eq!(world.log.view().accepted_through(4), 3);
    // Decided once and for all.
    assert_eq!(world.append(&[100]), 1);
    assert_eq!(world.kill().torn_tail, 0);
    assert_eq!(world.log.view().accepted_through(5), 4);
}

#[test]
fn torn_last_header_is_reported_and_its_sequence_is_not_reused() {
    let mut world = World::new();
    world.append(&[100]);
    world.append(&[100]);
    let (file, frame) = world.frame_of(2);
    world.damage(&file, |content| content[frame + 8..].fill(0));
    let recovery = world.kill();
    assert_eq!((recovery.torn_tail, recovery.next_seq), (1, 3));
    assert_eq!(world.read(1), [Entry::Void { first: 2, last: 2 }]);
}

#[test]
fn flipped_bit_behind_the_last_record_is_a_torn_tail_only_if_possible() {
    // Of a header that has lost its first sector: the fifth record's own sequence, not a power of two, can
    // not be all there is, but that what was synced before was 1, 2 or 4 can.
    let left_of_a_header = [24 * 8, 24 * 8 + 1, 24 * 8 + 2];
    for bit in 0..32 * 8 {
        let mut world = World::new();
        world.append(&[100, 100]);
        world.append(&[100, 100]);
        let (file, last) = world.frame_of(4);
        let end = last + 32 + 104;
        world.damage(&file, |content| content[end + bit / 8] ^= 1 << (bit % 8));
        let recovery = world.kill();
        let torn = u64::from(left_of_a_header.contains(&bit));
        assert_eq!((recovery.torn_tail, recovery.next_seq), (torn, 5 + torn), "bit {bit}");
        world.check_alive();
    }
}

#[test]
fn header_with_one_bit_left_is_reported_and_its_sequence_not_reused() {
    // The first record of all: of its sequence, and of that which was synced before, one bit is set.
    let mut world = World::new();
    world.append(&[100]);
    let (file, frame) = world.frame_of(1);
    world.damage(&file, |content| {
        content[frame..frame + 16].fill(0);
        content[frame + 32..frame + 132].fill(0);
    });
    let recovery = world.kill();
    assert_eq!((recovery.torn_tail, recovery.next_seq), (1, 2));
    assert_eq!(world.read(0), [Entry::Void { first: 1, last: 1 }]);
}

#[test]
fn reader_finds_its_way_over_damage_larger_than_a_chunk() {
    let disk = SimDisk::new();
    let options = Options { segment_size: 2 << 20, max_size: 4 << 20, min_next_seq: 1 };
    let (mut log, _) = Log::open(Arc::new(disk.clone()), &options).unwrap();
    let records: Vec<_> = (0..1_000_u32).map(|at| Bytes::from(at.to_le_bytes().repeat(250))).collect();
    for batch in records.chunks(10) {
        assert_eq!(log.append_batch(batch).accepted, batch.len());
    }
    let mut content = disk.content("000000.seg").unwrap();
    content[100_000..700_000].fill(0xa5);
    disk.set_content("000000.seg", Some(content));
    let frame = |offset: usize| u64::try_from((offset - 2 * HEADER_BLOCK) / 1_032 + 1).unwrap();
    let (first, last) = (frame(100_000), frame(699_999));
    let record = |seq: Seq| Entry::Record { seq, bytes: records[usize::try_from(seq).unwrap() - 1].clone() };
    // The first one's header still says how long it is; behind that the way has to be found.
    let damaged = [Entry::Damaged { first, last: first }, Entry::Damaged { first: first + 1, last }];
    let expected = (1..first).map(record).chain(damaged);
    let expected: Vec<_> = expected.chain((last + 1..=1_000).map(record)).collect();
    let mut reader = log.view().reader(0);
    assert!(std::iter::from_fn(|| reader.next().unwrap()).eq(expected));
}

#[test]
fn more_holes_than_a_header_has_room_for_end_as_one() {
    let mut world = World::new();
    world.append(&[16]);
    world.append(&[16; 100]);
    for seq in (3..100).step_by(2) {
        let (file, frame) = world.frame_of(seq);
        world.damage(&file, |content| content[frame] ^= 1);
    }
    // What lies between the last of them is given up with them, which the model does not allow for: a
    // batch with so many holes was never acknowledged.
    let (log, recovery) = world.try_open().unwrap();
    world.log = log;
    let voids: Vec<_> =
        world.read(0).into_iter().filter(|entry| matches!(entry, Entry::Void { .. })).collect();
    assert_eq!(voids.len(), crate::journal::header::MAX_VOIDS);
    assert_eq!(voids.last(), Some(&Entry::Void { first: 53, last: 99 }));
    assert_eq!(recovery.torn_tail, 25 + 99 - 53 + 1);
}
