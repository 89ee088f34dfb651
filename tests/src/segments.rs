//! The journal's files, as far as a test must know them to damage a chosen place.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

/// Bytes before the first frame: two copies of the header.
pub const HEADERS: usize = 8192;
const FRAME_HEADER: usize = 32;

/// A record in a segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Sequence of the record.
    pub seq: u64,
    /// Its bytes, its own header included.
    pub bytes: Range<usize>,
}

/// Returns the files of the journal in a data folder, by name.
pub fn segments(data_dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data_dir.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "seg")).collect();
    found.sort();
    found
}

/// Returns the eight bytes at an offset of a file, if it is that long.
pub fn read_at(file: &Path, offset: usize) -> Option<[u8; 8]> {
    fs::read(file).unwrap().get(offset..offset + 8)?.try_into().ok()
}

/// Returns the records of a whole segment.
pub fn frames(segment: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut at = HEADERS;
    while let Some(header) = segment.get(at..at + FRAME_HEADER) {
        let length = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        let seq = u64::from_le_bytes(header[16..24].try_into().unwrap());
        if seq == 0 {
            break;
        }
        let end = at + FRAME_HEADER + length;
        frames.push(Frame { seq, bytes: at..end });
        at = end.next_multiple_of(8);
    }
    frames
}
