//! Segments that are forged with their salt: headers and frames with right checksums and content that is never
//! written. The journal opens, or refuses with the reason; nothing panics, nothing turns in circles, what is
//! accepted afterwards is there, and none of it takes more memory than a fixed multiple of the files. `PROPTEST_CASES`
//! makes it long.

use std::cell::Cell;
use std::sync::Arc;

use allocation_counter::measure;
use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

use super::world::{SEGMENT, World, options};
use crate::journal::frame::{FRAME_HEADER, FrameHeader, Keys};
use crate::journal::header::{DATA_START, HEADER_BLOCK, Header};
use crate::journal::segment::SeqRange;
use crate::journal::sim::SimDisk;
use crate::journal::{Disk, Entry, Log, OpenError, Options, Reader};

/// Bytes of memory for each written byte: the copies of the simulated disk and of a reader, and some room.
const TIMES: u64 = 6;
/// Whatever the size: the zeroes of a new file, which are written a mebibyte at a time; errors, lists, names.
const FIXED: u64 = (1 << 20) + (256 << 10);

/// One lie, sealed with the right checksum.
#[derive(Clone, Debug)]
enum Lie {
    OfHeader {
        file: Index,
        copies: &'static [usize],
        field: HeaderField,
        value: u64,
    },
    OfVoids {
        file: Index,
        voids: Vec<(u64, u64)>,
    },
    OfFrame {
        file: Index,
        frame: Index,
        field: FrameField,
        value: u64,
    },
    /// A frame where none began.
    NewFrame {
        file: Index,
        at: Index,
        seq: u64,
        synced: u64,
        length: u32,
    },
}

#[derive(Clone, Copy, Debug)]
enum HeaderField {
    Journal,
    Number,
    Salt,
    FirstSeq,
    AcceptedBefore,
    BytesBefore,
    OldestLive,
}

#[derive(Clone, Copy, Debug)]
enum FrameField {
    Length,
    Seq,
    Synced,
}

/// Numbers at which sums and differences end, and those of the journal itself.
fn number() -> impl Strategy<Value = u64> {
    let edges = [0, 1, u64::MAX, u64::MAX - 1, 1 << 63, 1 << 62, 1 << 32, u64::from(u32::MAX), SEGMENT];
    prop_oneof![2 => select(edges.to_vec()), 2 => 0..40_u64, 1 => any::<u64>()]
}

fn lie() -> impl Strategy<Value = Lie> {
    use HeaderField::{AcceptedBefore, BytesBefore, FirstSeq, Journal, Number, OldestLive, Salt};
    let fields = [Journal, Number, Salt, FirstSeq, AcceptedBefore, BytesBefore, OldestLive];
    let copies: [&[usize]; 3] = [&[0], &[1], &[0, 1]];
    let frame_fields = [FrameField::Length, FrameField::Seq, FrameField::Synced];
    let voids = prop::collection::vec((number(), number()), 1..=4);
    prop_oneof![
        4 => (any::<Index>(), select(copies.to_vec()), select(fields.to_vec()), number())
            .prop_map(|(file, copies, field, value)| Lie::OfHeader { file, copies, field, value }),
        1 => (any::<Index>(), voids).prop_map(|(file, voids)| Lie::OfVoids { file, voids }),
        4 => (any::<Index>(), any::<Index>(), select(frame_fields.to_vec()), number())
            .prop_map(|(file, frame, field, value)| Lie::OfFrame { file, frame, field, value }),
        1 => (any::<Index>(), any::<Index>(), number(), number(), any::<u32>())
            .prop_map(|(file, at, seq, synced, length)| Lie::NewFrame { file, at, seq, synced, length }),
    ]
}

impl Lie {
    fn told_to(&self, disk: &SimDisk) {
        let mut names = disk.list().unwrap();
        names.sort_unstable();
        let (Self::OfHeader { file, .. }
        | Self::OfVoids { file, .. }
        | Self::OfFrame { file, .. }
        | Self::NewFrame { file, .. }) = self;
        let name = file.get(&names);
        let mut content = disk.content(name).unwrap();
        // What an earlier lie made unreadable stays so.
        let copies = [0, 1].map(|copy| Header::decode(&content[copy * HEADER_BLOCK..]));
        let Some(header) = copies.into_iter().find_map(Result::ok) else { return };
        match self {
            Self::OfHeader { copies, field, value, .. } => {
                let forged = field.set(header, *value).encode();
                for copy in *copies {
                    let block = copy * HEADER_BLOCK..(copy + 1) * HEADER_BLOCK;
                    content[block.clone()].copy_from_slice(&forged[block]);
                }
            }
            Self::OfVoids { voids, .. } => {
                let voids = voids.iter().map(|&(first, last)| SeqRange { first, last }).collect();
                let forged = Header { voids, ..header }.encode();
                content[..forged.len()].copy_from_slice(&forged);
            }
            Self::OfFrame { frame, field, value, .. } => {
                let frames = frames(&content, header.salt);
                if !frames.is_empty() {
                    let at = *frame.get(&frames);
                    field.set(&mut content[at..], *value);
                    seal(&mut content[at..], header.salt);
                }
            }
            Self::NewFrame { at, seq, synced, length, .. } => {
                let at = first_frame() + at.index((content.len() - first_frame() - FRAME_HEADER) / 8) * 8;
                content[at + 8..at + 12].copy_from_slice(&length.to_le_bytes());
                content[at + 16..at + 24].copy_from_slice(&seq.to_le_bytes());
                content[at + 24..at + 32].copy_from_slice(&synced.to_le_bytes());
                seal(&mut content[at..], header.salt);
            }
        }
        disk.set_content(name, Some(content));
    }
}

impl HeaderField {
    fn set(self, mut header: Header, value: u64) -> Header {
        match self {
            Self::Journal => header.journal = value.into(),
            Self::Number => header.number = value,
            Self::Salt => header.salt = value,
            Self::FirstSeq => header.first_seq = value,
            Self::AcceptedBefore => header.accepted_before = value,
            Self::BytesBefore => header.bytes_before = value,
            Self::OldestLive => header.oldest_live = value,
        }
        header
    }
}

impl FrameField {
    fn set(self, frame: &mut [u8], value: u64) {
        match self {
            Self::Length => frame[8..12].copy_from_slice(&value.to_le_bytes()[..4]),
            Self::Seq => frame[16..24].copy_from_slice(&value.to_le_bytes()),
            Self::Synced => frame[24..32].copy_from_slice(&value.to_le_bytes()),
        }
    }
}

fn first_frame() -> usize {
    usize::try_from(DATA_START).unwrap()
}

/// Returns the offsets of the frames, as far as each leads to the next.
fn frames(content: &[u8], salt: u64) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = first_frame();
    while let Some(header) = content.get(at..).and_then(|rest| FrameHeader::decode(Keys::new(salt), rest)) {
        found.push(at);
        at += usize::try_from(header.frame_len()).unwrap();
    }
    found
}

/// Gives a frame the checksums of what it says now, its payload's as far as the file goes.
fn seal(frame: &mut [u8], salt: u64) {
    let [header, payload] = [salt >> 32, salt & u64::from(u32::MAX)].map(|half| u32::try_from(half).unwrap());
    let length = u32::from_le_bytes(*frame[8..].first_chunk().unwrap()) as usize;
    let length = length.min(frame.len() - FRAME_HEADER);
    let of_payload = crc32c::crc32c_append(payload, &frame[FRAME_HEADER..FRAME_HEADER + length]);
    frame[4..8].copy_from_slice(&of_payload.to_le_bytes());
    let of_header = crc32c::crc32c_append(header, &frame[4..FRAME_HEADER]);
    frame[..4].copy_from_slice(&of_header.to_le_bytes());
}

/// Makes a disk with three segments of eight records each.
fn sound() -> SimDisk {
    let mut world = World::new();
    for _ in 0..8 {
        assert_eq!(world.append(&[200, 1_000, 1_100]), 3);
    }
    world.disk
}

/// Reads every entry from the start, and checks that each sequence comes once and in order.
fn read(reader: &mut Reader, max_entries: u64) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        let after = reader.position().after;
        let Some(entry) = reader.next().unwrap() else { return entries };
        assert!(entry.last() > after, "{entry:?} behind {after}");
        entries.push(entry);
        assert!(
            entries.len() as u64 <= max_entries,
            "more entries than frames have room: {:?}",
            entries.last()
        );
    }
}

/// Opens what is there, reads it, and goes on; what stood in the way.
fn live_on(disk: &SimDisk, options: &Options, size: u64) -> Result<(), OpenError> {
    let disk = || Arc::new(disk.clone());
    let (mut log, recovery) = Log::open(disk(), options)?;
    assert!(recovery.next_seq >= options.min_next_seq);
    let max_entries = size / FRAME_HEADER as u64 + 16;
    let mut reader = log.view().reader(0);
    read(&mut reader, max_entries);
    let _ = (log.view().accepted_through(u64::MAX), log.view().bytes_after(&reader.position()));
    let next = Bytes::from_static(b"accepted afterwards");
    let appended = log.append_batch(std::slice::from_ref(&next));
    assert_eq!((appended.first, appended.refusal), (recovery.next_seq, None));
    let accepted = [Entry::Record { seq: appended.first, bytes: next }];
    assert_eq!(read(&mut reader, max_entries), accepted, "for who has read all before");
    assert_eq!(read(&mut log.view().reader(appended.first - 1), max_entries), accepted);
    drop(log);
    let options = Options { min_next_seq: appended.first + 1, ..options.clone() };
    let (log, _) = Log::open(disk(), &options)?;
    assert_eq!(read(&mut log.view().reader(appended.first - 1), max_entries), accepted, "after a restart");
    Ok(())
}

#[test]
fn forged_segments_with_right_checksums() {
    let sound = sound();
    let size: u64 = sound.list().unwrap().iter().map(|name| sound.content(name).unwrap().len() as u64).sum();
    let (opened, refused, worst) = (Cell::new(0_u64), Cell::new(0_u64), Cell::new(0));
    let strategy = (prop::collection::vec(lie(), 1..=4), 1..40_u64);
    let config = Config { failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&strategy, |(lies, min_next_seq)| {
        // A copy of its own.
        let disk = SimDisk::new();
        for name in sound.list().unwrap() {
            disk.set_content(&name, sound.content(&name));
        }
        for lie in &lies {
            lie.told_to(&disk);
        }
        let options = Options { min_next_seq, ..options() };
        let mut outcome = Ok(());
        let taken = measure(|| outcome = live_on(&disk, &options, size)).bytes_max;
        worst.set(worst.get().max(taken));
        let max_bytes = FIXED + TIMES * size;
        prop_assert!(taken <= max_bytes, "{taken} bytes for files of {size}");
        match outcome {
            Ok(()) => opened.set(opened.get() + 1),
            Err(OpenError::Disk { source, .. }) => panic!("the disk is well, and yet: {source}"),
            Err(_) => refused.set(refused.get() + 1),
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    println!(
        "forged segments: {} opened, {} refused with the reason, 0 panics, at most {} KiB at once for {} KiB of files",
        opened.get(),
        refused.get(),
        worst.get() >> 10,
        size >> 10
    );
}
