//! Reads what is synced, in order, for one destination: every sequence exactly once, as the record that
//! was accepted, as damaged, or as void.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::Seq;
use super::disk::Disk;
use super::pages::insist;
use super::scan::{Found, Scan};
use super::segment::{Catalog, Location, Owned};

/// The content of a journal for one sequence, or for several in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A record that was accepted.
    Record {
        /// Sequence of the record.
        seq: Seq,
        /// The bytes that were appended. They share a chunk of up to 256 KiB with their neighbours: copy a small record
        /// that is kept for long.
        bytes: Bytes,
    },
    /// Records that were accepted and cannot be read any more.
    Damaged {
        /// The first of these sequences.
        first: Seq,
        /// The last of these sequences.
        last: Seq,
    },
    /// Sequences that were never acknowledged, and have no record.
    Void {
        /// The first of these sequences.
        first: Seq,
        /// The last of these sequences.
        last: Seq,
    },
}

/// The disk does not let the journal be read. The reader stays where it is.
#[derive(Debug, thiserror::Error)]
#[error("cannot read journal segment {file}")]
pub struct ReadError {
    /// Name of the segment's file.
    pub file: String,
    /// Error of the operating system.
    #[source]
    pub source: io::Error,
}

/// Position of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The last sequence it has returned, or was told to start behind.
    pub after: Seq,
    pub(super) bytes: u64,
}

/// A reader of the journal. Several readers can read at once.
pub struct Reader {
    disk: Arc<dyn Disk>,
    catalog: Arc<Catalog>,
    next_seq: Seq,
    watermark: Seq,
    current: Option<Current>,
}

struct Current {
    owned: Owned,
    /// Walk over the segment's frames; absent if its file is missing.
    scan: Option<Scan>,
}

impl Reader {
    pub(super) fn new(disk: Arc<dyn Disk>, catalog: Arc<Catalog>, after: Seq) -> Self {
        Self { disk, catalog, next_seq: after + 1, watermark: 0, current: None }
    }

    /// Returns the position after the last returned entry.
    pub fn position(&self) -> Position {
        let bytes = match (&self.current, self.catalog.locate(self.next_seq)) {
            _ if self.next_seq > self.catalog.watermark() => self.catalog.bytes(),
            (Some(Current { owned, scan: Some(scan) }), _) => owned.segment.bytes_at(scan.at()),
            (_, Location::In(owned)) => owned.segment.bytes_before,
            (_, Location::Before(_)) => 0,
        };
        Position { after: self.next_seq - 1, bytes }
    }

    /// Returns the next entry; `None` at the watermark. It reads the disk, up to 256 KiB or one record at once.
    ///
    /// # Guarantees
    /// The entries of a reader cover every sequence behind its start exactly once, in order.
    ///
    /// # Errors
    /// If the disk fails to read; calling again tries again.
    #[allow(clippy::should_implement_trait)] // a reader at the watermark is not at its end
    pub fn next(&mut self) -> Result<Option<Entry>, ReadError> {
        loop {
            if self.next_seq > self.watermark {
                self.watermark = self.catalog.watermark();
                if self.next_seq > self.watermark {
                    return Ok(None);
                }
            }
            if self.current.as_ref().is_none_or(|current| self.next_seq >= current.owned.limit) {
                match self.catalog.locate(self.next_seq) {
                    Location::Before(oldest) => {
                        let (first, last) = (self.next_seq, self.watermark.min(oldest - 1));
                        self.next_seq = last + 1;
                        return Ok(Some(Entry::Damaged { first, last }));
                    }
                    Location::In(owned) => self.enter(owned)?,
                }
            }
            let Some(current) = &mut self.current else { continue };
            let entry = current.next(self.next_seq);
            // What was freed may have been overwritten while it was read; the catalog knows better.
            if !self.catalog.is_live(&current.owned.segment) {
                self.current = None;
                continue;
            }
            let entry = entry.map_err(|source| current.failed(source))?;
            self.next_seq = entry.last() + 1;
            return Ok(Some(entry));
        }
    }

    /// Returns the next entry at a start, where a thread can wait: a read that fails is tried several times, and then
    /// its bytes are given up.
    ///
    /// # Errors
    /// If the disk gives nothing at all.
    pub fn next_insisting(&mut self) -> Result<Option<Entry>, ReadError> {
        insist(self, Self::next, Self::give_up)
    }

    /// Gives up the bytes that could not be read, after several failures of [`Reader::next`]: from now on they are
    /// damaged. Returns `false` if the disk gives nothing of that file, which says nothing about the records in it.
    pub fn give_up(&mut self) -> bool {
        let Some(Current { owned, scan: Some(scan) }) = &mut self.current else { return false };
        let gave_up = scan.give_up();
        if gave_up {
            owned.segment.poison();
        }
        gave_up
    }

    /// Opens a segment, or goes on in the one it is in, which has grown.
    fn enter(&mut self, owned: Owned) -> Result<(), ReadError> {
        if let Some(current) = &mut self.current
            && current.owned.segment.number == owned.segment.number
        {
            current.owned = owned;
            return Ok(());
        }
        let scan = match self.disk.open(&owned.segment.file_name) {
            Ok(file) => Some(Scan::new(file, owned.segment.keys, owned.segment.synced_end(), self.next_seq)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(ReadError { file: owned.segment.file_name.clone(), source }),
        };
        self.current = Some(Current { owned, scan });
        Ok(())
    }
}

impl Current {
    /// Returns the entry that begins with `next_seq`, which this segment owns.
    fn next(&mut self, next_seq: Seq) -> io::Result<Entry> {
        let mut last = self.owned.limit - 1;
        for void in &self.owned.voids {
            if void.contains(next_seq) {
                return Ok(Entry::Void { first: next_seq, last: void.last.min(last) });
            }
            if void.first > next_seq {
                last = last.min(void.first - 1);
            }
        }
        let damaged = |through: Seq| Entry::Damaged { first: next_seq, last: through.min(last) };
        let Some(scan) = &mut self.scan else { return Ok(damaged(last)) };
        scan.aim(next_seq, self.owned.segment.synced_end());
        Ok(match scan.next()? {
            Found::Record { seq, payload, .. } => Entry::Record { seq, bytes: payload },
            Found::Hole(hole) => damaged(hole.last),
            Found::End => damaged(last),
        })
    }

    fn failed(&self, source: io::Error) -> ReadError {
        ReadError { file: self.owned.segment.file_name.clone(), source }
    }
}

impl Entry {
    /// Returns the last sequence that it covers.
    pub fn last(&self) -> Seq {
        match *self {
            Self::Record { seq, .. } => seq,
            Self::Damaged { last, .. } | Self::Void { last, .. } => last,
        }
    }
}
