//! One decision file, as it is read and written.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::format::{self, BadHeader, Decision, ENTRY, Header, Tables};
use super::store::Decided;
use crate::journal::{DiskFile, Seq, write_again};

/// A file grows by this many bytes, so that few syncs have to write its length.
const GROWTH: u64 = 64 << 10;

/// A decision file. Only the newest is written to.
pub(super) struct DecisionFile {
    pub(super) name: String,
    pub(super) segment: u64,
    pub(super) first_seq: Seq,
    salt: u64,
    pub(super) tables: Arc<Tables>,
    entries_at: u64,
    file: Arc<dyn DiskFile>,
    size: AtomicU64,
    /// The last sequence with an entry, if it is the newest file.
    last: AtomicU64,
    /// Its header can be read.
    is_readable: bool,
    /// A write or sync failed. The file is never written again.
    poisoned: AtomicBool,
}

impl DecisionFile {
    pub(super) fn new(name: String, header: Header, file: Arc<dyn DiskFile>, size: u64) -> Self {
        let entries_at = header.encode().len() as u64;
        let Header { segment, salt, first_seq, tables, .. } = header;
        let (size, last, poisoned) =
            (AtomicU64::new(size), AtomicU64::new(first_seq - 1), AtomicBool::new(false));
        Self {
            name,
            segment,
            first_seq,
            salt,
            tables: Arc::new(tables),
            entries_at,
            file,
            size,
            last,
            is_readable: true,
            poisoned,
        }
    }

    /// Makes a file whose header cannot be read, and so none of its entries. It is not written.
    pub(super) fn unreadable(name: String, file: Arc<dyn DiskFile>, size: u64) -> Option<Self> {
        let (segment, first_seq) = numbers(&name)?;
        let tables = Tables::default();
        let made =
            Self::new(name, Header { segment, segment_salt: 0, salt: 0, first_seq, tables }, file, size);
        Some(Self { is_readable: false, poisoned: AtomicBool::new(true), ..made })
    }

    /// Bytes of the file.
    pub(super) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// Returns the last sequence with an entry, if it is the newest file.
    pub(super) fn last(&self) -> Seq {
        self.last.load(Ordering::Relaxed)
    }

    /// Says that everything through `last` is recorded, the name of the file too.
    pub(super) fn recorded_through(&self, last: Seq) {
        self.last.fetch_max(last, Ordering::Relaxed);
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Relaxed)
    }

    /// Writes entries, in ascending order, and syncs them. After an error the file is not written again.
    pub(super) fn write_and_sync(&self, decided: &[(Seq, Decision)]) -> io::Result<()> {
        let Some((last, _)) = decided.last() else { return Ok(()) };
        let grown = self.grow(self.offset(last + 1));
        // Between two runs lies what is recorded, or what is no event.
        let mut runs = decided.chunk_by(|(a, _), (b, _)| a + 1 == *b);
        let written = grown.and_then(|()| runs.try_for_each(|run| self.write_run(run)));
        let synced = written.and_then(|()| self.file.sync_data());
        if synced.is_err() {
            self.poisoned.store(true, Ordering::Relaxed);
        }
        synced
    }

    fn grow(&self, end: u64) -> io::Result<()> {
        let size = self.size();
        if end > size {
            let grown = (end - size).next_multiple_of(GROWTH);
            self.file.write_all_at(&vec![0; usize::try_from(grown).unwrap_or(0)], size)?;
            self.size.store(size + grown, Ordering::Relaxed);
        }
        Ok(())
    }

    fn write_run(&self, run: &[(Seq, Decision)]) -> io::Result<()> {
        let Some((first, _)) = run.first() else { return Ok(()) };
        let bytes: Vec<u8> =
            run.iter().flat_map(|(seq, decision)| format::encode(self.salt, *seq, decision)).collect();
        self.file.write_all_at(&bytes, self.offset(*first))
    }

    /// Appends what is recorded about `first` through `last`. If it `insists`, what cannot be read is `None`.
    pub(super) fn read(
        &self,
        first: Seq,
        last: Seq,
        insists: bool,
        recorded: &mut Vec<Option<Decided>>,
    ) -> io::Result<()> {
        if !self.is_readable {
            recorded.extend((first..=last).map(|_| None));
            return Ok(());
        }
        let (at, end) = (self.offset(first), self.offset(last + 1));
        let mut bytes = vec![0; usize::try_from(end - at).unwrap_or(0)];
        match self.file.read_at(&mut bytes, at) {
            Err(error) if insists => {
                tracing::error!(file = self.name, error = %error, "decisions cannot be read, these events are decided again");
                bytes.fill(0);
            }
            read => _ = read?,
        }
        let entries = (first..=last).zip(bytes.chunks_exact(ENTRY));
        recorded.extend(entries.map(|(seq, entry)| {
            let decision = entry.first_chunk().and_then(|entry| format::decode(self.salt, seq, entry));
            decision.map(|decision| Decided::Decision(decision, Arc::clone(&self.tables)))
        }));
        Ok(())
    }

    /// Writes what it holds once more, and syncs it: what was read may be in memory only, if an earlier sync failed. Finds
    /// the last entry.
    pub(super) fn make_durable(&self) -> io::Result<()> {
        if !self.is_readable {
            return Ok(());
        }
        write_again(&*self.file, 0, self.size())?;
        self.file.sync_data()?;
        let entries = self.size().saturating_sub(self.entries_at) / ENTRY as u64;
        let mut recorded = Vec::new();
        if entries > 0 {
            self.read(self.first_seq, self.first_seq + entries - 1, true, &mut recorded)?;
        }
        let last = recorded.iter().rposition(|one| matches!(one, Some(Decided::Decision(..))));
        self.last.store(last.map_or(self.first_seq - 1, |at| self.first_seq + at as u64), Ordering::Relaxed);
        Ok(())
    }

    fn offset(&self, seq: Seq) -> u64 {
        self.entries_at + (seq - self.first_seq) * ENTRY as u64
    }
}

/// Returns the name of the file of a segment from this sequence on.
pub(super) fn file_name(segment: u64, first_seq: Seq) -> String {
    format!("{segment:012}-{first_seq:015}.dec")
}

/// Returns the segment and the first sequence in the name of a file; `None` if it is none of ours.
pub(super) fn numbers(name: &str) -> Option<(u64, Seq)> {
    let (segment, first) = name.strip_suffix(".dec")?.split_once('-')?;
    let numbers = segment.parse().ok().zip(first.parse().ok());
    numbers.filter(|(segment, first)| *first > 0 && file_name(*segment, *first) == name)
}

/// Reads the header of a file.
pub(super) fn read_header(file: &dyn DiskFile) -> io::Result<Result<Header, BadHeader>> {
    let mut bytes = vec![0; 4096];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    let Some(length) = Header::length(&bytes) else { return Ok(Header::decode(&bytes)) };
    let mut bytes = vec![0; length];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(Header::decode(&bytes))
}
