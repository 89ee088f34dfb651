//! Walks the frames of one segment, for readers and for recovery alike, and finds its way again behind
//! damage: a damaged payload is skipped by its length, a damaged header by looking ahead, at every
//! multiple of eight bytes, for a frame with both checksums right and a sequence that can follow.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::Seq;
use super::disk::DiskFile;
use super::frame::{self, ALIGN, FRAME_HEADER, FrameHeader, Keys};
use super::header::DATA_START;
use super::pages::Pages;
use super::segment::SeqRange;

/// Bytes read at once. A record handed out shares the memory of its chunk.
const CHUNK: u64 = 256 << 10;

/// A walk over the frames of a segment.
pub(super) struct Scan {
    file: Arc<dyn DiskFile>,
    keys: Keys,
    /// Bytes from here on are not to be looked at.
    end: u64,
    at: u64,
    expected: Seq,
    chunk: Bytes,
    chunk_at: u64,
    pages: Pages,
}

/// The next thing in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The record with the expected sequence.
    Record { seq: Seq, synced: Seq, payload: Bytes },
    /// Sequences that were written here and cannot be read. An intact frame follows them.
    Hole(SeqRange),
    /// Nothing readable of the expected sequence or a later one lies before the end.
    End,
}

impl Scan {
    /// Makes a walk from the first frame of a segment to `expected`; frames before it are skipped.
    pub(super) fn new(file: Arc<dyn DiskFile>, keys: Keys, end: u64, expected: Seq) -> Self {
        let (chunk, pages) = (Bytes::new(), Pages::default());
        Self { file, keys, end, at: DATA_START, expected, chunk, chunk_at: 0, pages }
    }

    /// Gives up the bytes that the last call could not read. Returns `false` if nothing at all can be read.
    pub(super) fn give_up(&mut self) -> bool {
        self.pages.give_up(&*self.file)
    }

    /// Returns whether it gave up any bytes.
    pub(super) fn gave_up(&self) -> bool {
        self.pages.are_lacking()
    }

    /// Returns the offset of the next frame; after [`Found::End`], the offset after the bytes that could not be read.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Looks for `expected`, which never lies before what was found, up to `end`, which never shrinks.
    pub(super) fn aim(&mut self, expected: Seq, end: u64) {
        self.expected = expected;
        self.end = end;
    }

    /// Returns the next record, or what is in its place.
    pub(super) fn next(&mut self) -> io::Result<Found> {
        loop {
            let Some(header) = self.header_at(self.at)? else { return self.look_ahead() };
            if header.seq < self.expected {
                self.at += header.frame_len();
                continue;
            }
            if !self.can_follow(&header) {
                return self.look_ahead();
            }
            let payload = self.payload(self.at, &header)?;
            let intact = header.is_of(self.keys, &payload);
            let first = self.expected;
            if header.seq > first {
                if !intact {
                    return self.look_ahead();
                }
                self.expected = header.seq;
                return Ok(Found::Hole(SeqRange { first, last: header.seq - 1 }));
            }
            self.at += header.frame_len();
            self.expected += 1;
            return Ok(if intact {
                Found::Record { seq: first, synced: header.synced, payload }
            } else {
                Found::Hole(SeqRange { first, last: first })
            });
        }
    }

    /// Returns whether a frame was begun where the next one would be. Every batch ends with zeroes there, so the
    /// remains of an earlier use are not taken for a torn frame. Bytes that cannot be read decide nothing.
    pub(super) fn is_torn(&mut self) -> io::Result<bool> {
        let expected = self.expected;
        if self.at < self.end && self.pages.lack(self.at, FRAME_HEADER as u64) {
            return Ok(true);
        }
        let header = self.window(self.at, FRAME_HEADER as u64)?;
        Ok(header.and_then(<[u8]>::first_chunk).is_some_and(|header| frame::was_begun(header, expected)))
    }

    fn look_ahead(&mut self) -> io::Result<Found> {
        let mut candidate = self.at + ALIGN;
        while candidate + FRAME_HEADER as u64 <= self.end {
            if let Some(header) = self.header_at(candidate)?
                && header.seq >= self.expected
                && self.can_follow(&header)
            {
                let payload = self.payload(candidate, &header)?;
                if header.is_of(self.keys, &payload) {
                    self.at = candidate;
                    return self.next();
                }
            }
            candidate += ALIGN;
        }
        Ok(Found::End)
    }

    /// Returns whether a frame can follow: no more sequences can be missing than frames fit before the end.
    fn can_follow(&self, header: &FrameHeader) -> bool {
        header.seq - self.expected <= self.end.saturating_sub(DATA_START) / FRAME_HEADER as u64
    }

    fn header_at(&mut self, at: u64) -> io::Result<Option<FrameHeader>> {
        let keys = self.keys;
        let header = self
            .window(at, FRAME_HEADER as u64)?
            .and_then(|bytes| FrameHeader::decode(keys, bytes))
            .filter(|header| header.frame_len() <= self.end - at);
        Ok(header)
    }

    /// Shares the chunk's memory, so that reading copies nothing.
    fn payload(&mut self, frame_at: u64, header: &FrameHeader) -> io::Result<Bytes> {
        let (at, len) = (frame_at + FRAME_HEADER as u64, u64::from(header.payload_len));
        if self.window(at, len)?.is_none() {
            return Ok(Bytes::new());
        }
        let from = usize::try_from(at - self.chunk_at).map_err(io::Error::other)?;
        Ok(self.chunk.slice(from..from + header.payload_len as usize))
    }

    /// Returns the bytes from `at` on; `None` if they do not all lie before the end of segment and file.
    fn window(&mut self, at: u64, len: u64) -> io::Result<Option<&[u8]>> {
        if at + len > self.end {
            return Ok(None);
        }
        let chunk_end = self.chunk_at + self.chunk.len() as u64;
        if at < self.chunk_at || at + len > chunk_end {
            let wanted = (self.end - at).min(CHUNK.max(len));
            let mut chunk = vec![0; usize::try_from(wanted).map_err(io::Error::other)?];
            let count = self.pages.read(&*self.file, &mut chunk, at)?;
            chunk.truncate(count);
            (self.chunk, self.chunk_at) = (chunk.into(), at);
        }
        let from = usize::try_from(at - self.chunk_at).map_err(io::Error::other)?;
        let to = from + usize::try_from(len).map_err(io::Error::other)?;
        Ok(self.chunk.get(from..to))
    }
}
