//! The content of the folder when a journal is opened. Reads two blocks of every file and walks the frames of the last
//! segment only, so a backlog costs nothing. Each file that cannot be used is named, and nothing is removed that might
//! have held an event.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::frame::{FRAME_HEADER, Keys};
use super::header::{BadHeader, DATA_START, HEADER_BLOCK, Header, MAX_VOIDS};
use super::pages::{insist, write_again};
use super::pool::{Files, slot};
use super::scan::{Found, Scan};
use super::segment::{Segment, SeqRange};
use super::{OpenError, Options, Seq};

/// Everything the log starts from.
pub(super) struct Recovered {
    pub(super) journal: u128,
    /// Live segments, oldest first.
    pub(super) segments: VecDeque<Arc<Segment>>,
    /// Void sequences of live segments, ascending.
    pub(super) voids: Vec<SeqRange>,
    pub(super) next_seq: Seq,
    pub(super) next_number: u64,
    /// Offset at which the last segment can be resumed, if it can: otherwise each start would use up a segment.
    pub(super) resume_at: Option<u64>,
    /// Bytes of frames since the journal began.
    pub(super) bytes: u64,
    pub(super) files: Files,
    /// Records that were torn at the end: see [`super::Recovery`].
    pub(super) torn_tail: u64,
    pub(super) notes: Vec<String>,
}

struct Used {
    file_name: String,
    size: u64,
    header: Header,
}

/// Reads the folder, and makes what it goes by outlast a power cut.
pub(super) fn recover(disk: &dyn Disk, options: &Options) -> Result<Recovered, OpenError> {
    // A file whose removal was not synced could otherwise come back later, beside what replaces it.
    disk.sync_dir().map_err(|source| OpenError::Folder { source })?;
    let mut folder = read_folder(disk, options)?;
    let live = live_segments(&mut folder, options.segment_size)?;
    let Some(last) = live.last() else {
        let next_seq = options.min_next_seq.max(1);
        if next_seq > 1 {
            folder.notes.push(format!("no segment holds events, yet {} were seen before", next_seq - 1));
        }
        return Ok(Recovered {
            journal: rand::random(),
            segments: VecDeque::new(),
            voids: Vec::new(),
            next_seq,
            next_number: 1,
            resume_at: None,
            bytes: 0,
            files: folder.files,
            torn_tail: 0,
            notes: folder.notes,
        });
    };
    let tail = read_tail(disk, last, options.min_next_seq)
        .map_err(|source| OpenError::Disk { file: last.file_name.clone(), source })?;
    let ahead = (tail.end_seq + 1)..options.min_next_seq;
    if !ahead.is_empty() {
        folder.notes.push(format!(
            "{}: events {} to {} were acknowledged and are not there",
            last.file_name,
            ahead.start,
            ahead.end - 1
        ));
    }
    let journal = last.header.journal;
    let next_number = last.header.number + 1;
    let bytes = last.header.bytes_before + (tail.end - DATA_START);
    let voids =
        merged(live.iter().flat_map(|used| used.header.voids.iter().copied()).chain(tail.voids).collect());
    // A segment of which something is in doubt is left as it is.
    let is_sound = voids_of_last(&live).is_empty() && tail.is_clean && ahead.is_empty();
    let is_whole = live.last().is_some_and(|last| last.size == options.segment_size);
    let resume_at = Some(tail.end).filter(|_| is_sound && is_whole);
    let last_number = live.last().map(|last| last.header.number);
    let synced_end = |used: &Used| {
        let is_last = Some(used.header.number) == last_number;
        resume_at.filter(|_| is_last).unwrap_or(used.size)
    };
    let segments: VecDeque<_> = live
        .into_iter()
        .map(|used| {
            let synced_end = synced_end(&used);
            Arc::new(Segment::new(used.file_name, &used.header, used.size, synced_end))
        })
        .collect();
    if let Some(last) = segments.back().filter(|_| tail.is_lacking) {
        last.poison();
    }
    Ok(Recovered {
        journal,
        next_seq: options.min_next_seq.max(tail.end_seq + 1),
        next_number,
        resume_at,
        bytes,
        voids,
        torn_tail: tail.torn,
        segments,
        files: folder.files,
        notes: folder.notes,
    })
}

#[derive(Default)]
struct FolderContent {
    used: BTreeMap<u64, Used>,
    files: Files,
    notes: Vec<String>,
    unreadable: Option<String>,
}

fn read_folder(disk: &dyn Disk, options: &Options) -> Result<FolderContent, OpenError> {
    let mut folder = FolderContent::default();
    let mut names = disk.list().map_err(|source| OpenError::Folder { source })?;
    names.sort_unstable();
    for file_name in names {
        let Some(slot) = slot(&file_name) else { continue };
        folder.files.next_slot = folder.files.next_slot.max(slot.saturating_add(1));
        let failed = |source| OpenError::Disk { file: file_name.clone(), source };
        let file = disk.open(&file_name).map_err(failed)?;
        let size = file.len().map_err(failed)?;
        folder.files.size += size;
        match read_header(&*file).map_err(failed)? {
            Ok((header, copies)) => {
                if copies < 2 {
                    folder.notes.push(format!("{file_name}: one of two copies of the header is lost"));
                }
                if size < options.segment_size {
                    folder.notes.push(format!("{file_name}: has {size} bytes, fewer than a segment"));
                }
                let number = header.number;
                if let Some(other) = folder.used.insert(number, Used { file_name, size, header }) {
                    let file = folder.used.remove(&number).map_or_else(String::new, |used| used.file_name);
                    return Err(OpenError::Twice { file: other.file_name, other: file });
                }
            }
            Err(BadHeader::Version(version)) => {
                return Err(OpenError::UnknownVersion { file: file_name, version });
            }
            // Left over from a start that was cut short; its zeroes may not be synced.
            Err(BadHeader::Blank) => folder.files.doomed.push((file_name, size)),
            Err(BadHeader::Unreadable) => {
                folder
                    .notes
                    .push(format!("{file_name}: both copies of the header are unreadable; left as it is"));
                folder.unreadable = Some(file_name);
            }
        }
    }
    Ok(folder)
}

/// Reads the newer of both copies, in case a power cut came between them, and returns it with their number. A block
/// that the disk does not give may be back tomorrow: without the other copy, that is an error.
fn read_header(file: &dyn DiskFile) -> io::Result<Result<(Header, usize), BadHeader>> {
    let copy = |offset| {
        let mut block = vec![0; HEADER_BLOCK];
        file.read_at(&mut block, offset).map(|count| Header::decode(&block[..count]))
    };
    Ok(match (copy(0), copy(HEADER_BLOCK as u64)) {
        (Ok(Ok(first)), Ok(Ok(second))) => {
            let age = |header: &Header| (header.number, count(&header.voids));
            Ok((if age(&second) > age(&first) { second } else { first }, 2))
        }
        (Ok(Ok(header)), _) | (_, Ok(Ok(header))) => Ok((header, 1)),
        (Err(error), _) | (_, Err(error)) => return Err(error),
        (Ok(Err(bad @ BadHeader::Version(_))), _) | (_, Ok(Err(bad @ BadHeader::Version(_)))) => Err(bad),
        (Ok(Err(BadHeader::Blank)), Ok(Err(BadHeader::Blank))) => Err(BadHeader::Blank),
        // Before the first frame is written, a torn header is one that was never used.
        (Ok(Err(_)), Ok(Err(_))) => {
            let mut frame = [0xff; FRAME_HEADER];
            file.read_at(&mut frame, DATA_START)?;
            Err(if frame == [0; FRAME_HEADER] { BadHeader::Blank } else { BadHeader::Unreadable })
        }
    })
}

/// Returns the segments that may still be needed. The others are ready for their next use.
fn live_segments(folder: &mut FolderContent, segment_size: u64) -> Result<Vec<Used>, OpenError> {
    let Some((_, newest)) = folder.used.last_key_value() else {
        // An empty journal in place of one that cannot be read would be a loss that nobody sees.
        return folder.unreadable.take().map_or(Ok(Vec::new()), |file| Err(OpenError::Unreadable { file }));
    };
    let journal = newest.header.journal;
    if let Some(foreign) = folder.used.values().find(|used| used.header.journal != journal) {
        let (file, other) = (foreign.file_name.clone(), newest.file_name.clone());
        return Err(OpenError::Foreign { file, other });
    }
    let oldest_live = newest.header.oldest_live;
    let used = std::mem::take(&mut folder.used).into_values();
    let (live, stale): (Vec<_>, Vec<_>) = used.partition(|used| used.header.number >= oldest_live);
    for used in stale {
        if used.size == segment_size {
            folder.files.ready.push_back(used.file_name);
        } else {
            folder.files.doomed.push((used.file_name, used.size));
        }
    }
    for (before, next) in live.iter().zip(live.iter().skip(1)) {
        if !before.header.ends_before(&next.header) {
            let (file, other) = (before.file_name.clone(), next.file_name.clone());
            return Err(OpenError::Disorder { file, other });
        }
    }
    Ok(live)
}

struct Tail {
    /// The last sequence that was certainly written, readable or not.
    end_seq: Seq,
    /// Offset at which frames end.
    end: u64,
    /// Void sequences of the last segment. `torn` of them were not void before.
    voids: Vec<SeqRange>,
    torn: u64,
    /// Some of it cannot be read.
    is_lacking: bool,
    /// Every frame that was begun is whole.
    is_clean: bool,
}

fn voids_of_last(live: &[Used]) -> &[SeqRange] {
    live.last().map_or(&[], |last| &last.header.voids)
}

/// Walks the last segment, and makes certain what it found. All others were whole before its header was
/// written.
fn read_tail(disk: &dyn Disk, last: &Used, min_next_seq: Seq) -> io::Result<Tail> {
    let file = disk.open(&last.file_name)?;
    let first_seq = last.header.first_seq;
    let mut scan = Scan::new(Arc::clone(&file), Keys::new(last.header.salt), last.size, first_seq);
    let mut holes: Vec<SeqRange> = Vec::new();
    let mut end_seq = first_seq - 1;
    // What a later batch, or the state, has seen was acknowledged: if it is gone, it is damaged.
    let mut acknowledged = end_seq.max(min_next_seq.saturating_sub(1));
    let (mut last_synced, mut last_batch) = (end_seq, DATA_START);
    loop {
        let at = scan.at();
        match insist(&mut scan, Scan::next, Scan::give_up)? {
            Found::Record { seq, synced, .. } => {
                end_seq = seq;
                acknowledged = acknowledged.max(synced);
                if synced > last_synced {
                    (last_synced, last_batch) = (synced, at);
                }
            }
            Found::Hole(hole) => {
                end_seq = hole.last;
                match holes.last_mut() {
                    Some(before) if before.last + 1 == hole.first => before.last = hole.last,
                    _ => holes.push(hole),
                }
            }
            Found::End => break,
        }
    }
    if insist(&mut scan, Scan::is_torn, Scan::give_up)? {
        end_seq += 1;
        holes.push(SeqRange { first: end_seq, last: end_seq });
    }
    let is_clean = holes.is_empty() && !scan.gave_up();
    // What was void once stays so, even if what showed that it had been begun is gone by now.
    end_seq = last.header.voids.iter().map(|void| void.last).fold(end_seq, Seq::max);
    let room = MAX_VOIDS.saturating_sub(last.header.voids.len());
    let torn = holes.into_iter().filter(|hole| hole.last > acknowledged);
    let torn = torn.map(|hole| SeqRange { first: hole.first.max(acknowledged + 1), last: hole.last });
    let mut header = last.header.clone();
    header.voids = merged(header.voids.into_iter().chain(bounded(torn, room)).collect());
    write_back(&*file, &header, last_batch, scan.at())?;
    let torn = count(&header.voids) - count(&last.header.voids);
    let is_lacking = scan.gave_up();
    Ok(Tail { end_seq, end: scan.at(), voids: header.voids, torn, is_lacking, is_clean })
}

/// Writes the last batch and the header once more. The bytes that were read may be in memory only, and are about to be
/// promised to the destinations. A sync alone would not be enough: after a failed sync the system takes pages for clean
/// that never reached the disk. The header says from now on which sequences are void.
fn write_back(file: &dyn DiskFile, header: &Header, from: u64, to: u64) -> io::Result<()> {
    file.write_all_at(&header.encode(), 0)?;
    write_again(file, from, to)?;
    file.sync_data()
}

/// Returns the ranges ascending, none touching another.
fn merged(mut ranges: Vec<SeqRange>) -> Vec<SeqRange> {
    ranges.sort_unstable_by_key(|range| range.first);
    let mut merged: Vec<SeqRange> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(before) if range.first <= before.last + 1 => before.last = before.last.max(range.last),
            _ => merged.push(range),
        }
    }
    merged
}

fn count(ranges: &[SeqRange]) -> u64 {
    ranges.iter().map(|range| range.last - range.first + 1).sum()
}

/// Returns as many voids as a header has room for: the last one then covers everything between the others, too. Only a
/// batch of which nothing was acknowledged is torn into that many pieces.
fn bounded(voids: impl Iterator<Item = SeqRange>, room: usize) -> Vec<SeqRange> {
    let mut voids: Vec<_> = voids.collect();
    let last = voids.last().map(|void| void.last);
    if voids.len() > room {
        voids.truncate(room);
        for (void, last) in voids.last_mut().into_iter().zip(last) {
            void.last = last;
        }
    }
    voids
}
