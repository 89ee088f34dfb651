//! The records that wait for one write, laid out as frames already: each appender copies its record to where it is
//! written from, so that nothing copies it again. Headers are filled in just before a write, once sequence and segment
//! are known; until then they are zeroes, which end a batch wherever it is cut.

use super::Seq;
use super::frame::{self, ALIGN_BYTES, FRAME_HEADER, Keys};

/// Bytes of memory that an empty batch keeps for the next records.
const KEPT: usize = 2 << 20;

/// Records in the order in which they came.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Offset at which the last whole frame ends.
    end: usize,
    /// Length of each record.
    lens: Vec<u32>,
    /// Number of records that were written or refused, and the offset of the next one.
    done: usize,
    at: usize,
}

impl Batch {
    /// Appends a record, which `write` appends to the buffer. It must be shorter than 4 GiB; the size of a segment sees
    /// to it.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        // Behind it there is something only after a panic of `write`.
        self.bytes.truncate(self.end);
        let from = self.end + FRAME_HEADER;
        self.bytes.resize(from, 0);
        write(&mut self.bytes);
        let len = self.bytes.len().saturating_sub(from);
        self.lens.push(u32::try_from(len).unwrap_or(u32::MAX));
        self.end = self.bytes.len().next_multiple_of(ALIGN_BYTES);
        self.bytes.resize(self.end, 0);
    }

    /// Returns the number of records that are neither written nor refused.
    pub fn len(&self) -> usize {
        self.lens.len() - self.done
    }

    /// Returns whether no record is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the lengths of the records that are left, in bytes.
    pub(super) fn lens(&self) -> impl Iterator<Item = usize> {
        self.lens[self.done..].iter().map(|len| *len as usize)
    }

    /// Returns the next `count` records as frames with the sequences from `first` on, and behind them at least
    /// `terminator` zeroes.
    pub(super) fn seal(
        &mut self,
        count: usize,
        keys: Keys,
        first: Seq,
        synced: Seq,
        terminator: usize,
    ) -> &[u8] {
        let mut end = self.at;
        for (seq, len) in (first..).zip(&self.lens[self.done..self.done + count]) {
            let frame_end = end + frame::frame_bytes(*len as usize);
            frame::seal(&mut self.bytes[end..frame_end], keys, seq, synced, *len);
            end = frame_end;
        }
        // A header that an attempt at another segment has filled in already would not end this one.
        let next = self.bytes.len().min(end + FRAME_HEADER);
        self.bytes[end..next].fill(0);
        if self.bytes.len() < end + terminator {
            self.bytes.resize(end + terminator, 0);
        }
        &self.bytes[self.at..end + terminator]
    }

    /// Takes note that the next `count` records were written.
    pub(super) fn written(&mut self, count: usize) {
        let lens = &self.lens[self.done..self.done + count];
        self.at += lens.iter().map(|len| frame::frame_bytes(*len as usize)).sum::<usize>();
        self.done += count;
    }

    /// Forgets all records.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.lens.clear();
        (self.end, self.done, self.at) = (0, 0, 0);
    }
}
