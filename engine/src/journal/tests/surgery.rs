//! Files that go missing, are cut short, copied, renamed or come from elsewhere: the journal opens with
//! exactly their records damaged, or says which file is the reason that it does not.

use super::world::{SEGMENT, World};
use crate::journal::header::{DATA_START, HEADER_BLOCK};
use crate::journal::{Disk, Entry, Options, Seq};

/// 24 records over three sealed segments, and an active one with two more.
fn filled() -> (World, Vec<String>) {
    let mut world = World::new();
    for _ in 0..3 {
        assert_eq!(world.append(&[900; 8]), 8);
    }
    world.append(&[900]);
    world.append(&[900]);
    let files: Vec<_> = world.segments().into_values().collect();
    assert_eq!(files.len(), 4);
    (world, files)
}

fn refusal(world: &World) -> String {
    world.try_open().map(|_| ()).unwrap_err().to_string()
}

#[test]
fn missing_segment_is_a_damaged_range() {
    for (index, lost) in [(0, 1..=8), (1, 9..=16), (2, 17..=24)] {
        let (mut world, files) = filled();
        world.replace(&files[index], None);
        // The reader that had it open may go on; a new one may not.
        world.kill();
        let (first, last) = (*lost.start(), *lost.end());
        let expected: Vec<_> = (1..first)
            .map(|seq| world.entry(seq))
            .chain([Entry::Damaged { first, last }])
            .chain((last + 1..=26).map(|seq| world.entry(seq)))
            .collect();
        assert_eq!(world.read(0), expected);
        world.check_alive();
    }
}

#[test]
fn segment_removed_under_a_reader_is_a_damaged_range() {
    let (mut world, files) = filled();
    world.replace(&files[1], None);
    world.check();
    assert_eq!(world.read(8)[0], Entry::Damaged { first: 9, last: 16 });
}

#[test]
fn missing_last_segment_loses_nothing_in_silence_that_the_state_has_seen() {
    let (mut world, files) = filled();
    world.state_max = 26;
    world.replace(&files[3], None);
    let recovery = world.kill();
    assert_eq!(recovery.next_seq, 27);
    let note = format!("{}: events 25 to 26 were acknowledged and are not there", files[2]);
    assert_eq!(recovery.notes, [note]);
    assert_eq!(world.read(24), [Entry::Damaged { first: 25, last: 26 }]);
    world.check_alive();
}

#[test]
fn truncated_segment_loses_what_is_cut_off() {
    for kept in [0, 50, 100, HEADER_BLOCK + 10, 2 * HEADER_BLOCK, 2 * HEADER_BLOCK + 3_000] {
        for index in 0..3 {
            let (mut world, files) = filled();
            let content = world.disk.content(&files[index]).unwrap();
            let has_header = kept >= 84;
            world.replace(&files[index], Some(content[..kept].to_vec()));
            let recovery = world.kill();
            assert_eq!(has_header, recovery.notes.iter().any(|note| note.contains("fewer than a segment")));
            world.check_alive();
        }
    }
}

#[test]
fn unreadable_header_is_named_and_the_file_left_as_it_is() {
    let (mut world, files) = filled();
    let mut content = world.disk.content(&files[1]).unwrap();
    content[8] ^= 1;
    content[HEADER_BLOCK + 8] ^= 1;
    world.replace(&files[1], Some(content.clone()));
    world.damaged.extend(9..=16);
    let recovery = world.kill();
    let note = format!("{}: both copies of the header are unreadable; left as it is", files[1]);
    assert_eq!(recovery.notes, [note]);
    assert_eq!(world.read(8)[0], Entry::Damaged { first: 9, last: 16 });
    world.check_alive();
    assert_eq!(world.disk.content(&files[1]), Some(content));
}

#[test]
fn journal_of_unreadable_segments_is_not_replaced_by_an_empty_one() {
    let mut world = World::new();
    world.append(&[100]);
    let file = world.segments().into_values().next().unwrap();
    let mut content = world.disk.content(&file).unwrap();
    content[..2 * HEADER_BLOCK].fill(0xff);
    world.disk.set_content(&file, Some(content));
    assert_eq!(
        refusal(&world),
        format!("journal segment {file} cannot be read and no other is there: move it away to begin anew")
    );
}

#[test]
fn missing_journal_is_a_damaged_range_for_whoever_had_not_read_it() {
    let (mut world, files) = filled();
    world.state_max = 20;
    for file in files {
        world.replace(&file, None);
    }
    let recovery = world.kill();
    assert_eq!(recovery.next_seq, 21);
    assert_eq!(recovery.notes, ["no segment holds events, yet 20 were seen before"]);
    assert_eq!(world.read(3), [Entry::Damaged { first: 4, last: 20 }]);
    world.check_alive();
}

#[test]
fn copied_segment_is_refused_by_name() {
    let (world, files) = filled();
    world.disk.set_content("000077.seg", world.disk.content(&files[1]));
    assert_eq!(
        refusal(&world),
        format!("journal segments {} and 000077.seg are copies of each other: move one away", files[1])
    );
}

#[test]
fn segment_of_another_journal_is_refused_by_name() {
    let (world, files) = filled();
    let (other, others) = filled();
    world.disk.set_content(&files[1], other.disk.content(&others[1]));
    assert_eq!(
        refusal(&world),
        format!("journal segments {} and {} are of different journals: move one away", files[1], files[3])
    );
}

#[test]
fn renamed_segment_is_still_itself() {
    let (mut world, files) = filled();
    let content = world.disk.content(&files[1]);
    world.disk.set_content(&files[1], None);
    world.disk.set_content("000099.seg", content);
    world.kill();
    assert_eq!(world.read(0), (1..=26).map(|seq| world.entry(seq)).collect::<Vec<_>>());
    world.check_alive();
}

#[test]
fn segment_of_a_newer_version_is_refused_by_name() {
    let (world, files) = filled();
    let mut content = world.disk.content(&files[2]).unwrap();
    content[8] = 9;
    let crc = crc32c::crc32c(&content[..80]);
    content[80..84].copy_from_slice(&crc.to_le_bytes());
    content.copy_within(..HEADER_BLOCK, HEADER_BLOCK);
    world.disk.set_content(&files[2], Some(content));
    assert_eq!(refusal(&world), format!("journal segment {} has unknown version 9", files[2]));
}

#[test]
fn other_files_in_the_folder_are_left_alone() {
    let (mut world, _) = filled();
    for name in ["lost+found", "000001.seg.bak", "notes.txt"] {
        world.disk.set_content(name, Some(vec![1; 100]));
    }
    assert_eq!(world.kill().notes, Vec::<String>::new());
    world.check_alive();
    assert_eq!(world.disk.content("000001.seg.bak"), Some(vec![1; 100]));
}

#[test]
fn segments_of_another_size_are_read_and_then_replaced() {
    let (mut world, files) = filled();
    let larger = Options { segment_size: 2 * SEGMENT, max_size: 8 * 2 * SEGMENT, min_next_seq: 1 };
    let (mut log, _) = crate::journal::Log::open(std::sync::Arc::new(world.disk.clone()), &larger).unwrap();
    let mut reader = log.view().reader(0);
    let seqs = std::iter::from_fn(|| reader.next().unwrap()).map(|entry| entry.last()).collect::<Vec<Seq>>();
    assert_eq!(seqs, (1..=26).collect::<Vec<_>>());
    let longest = vec![1; usize::try_from(2 * SEGMENT - DATA_START).unwrap() - 32];
    assert_eq!(log.append_batch(&[longest.into()]).accepted, 1);
    log.view().free_through(27);
    log.view().tidy();
    let left = world.disk.list().unwrap();
    assert!(files.iter().all(|file| !left.contains(file)), "{left:?}");
    world.log = log;
}
