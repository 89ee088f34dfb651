//! The journal without its thread: one batch after the other, each synced before it counts. It has no
//! clock and starts nothing in the background, so a test can drive it through every fault.

use std::sync::Arc;

use bytes::Bytes;

use super::disk::{Disk, DiskFile};
use super::frame::{self, FRAME_HEADER};
use super::header::{DATA_START, Header};
use super::pool::{Pool, PoolError, is_full};
use super::recovery::recover;
use super::segment::{Catalog, Segment};
use super::view::View;
use super::{AppendError, OpenError, Options, Recovery, Seq, WriteState};

/// Bytes after which a batch is cut, so that the first of a long queue need not wait for the last.
const MAX_BATCH: usize = 1 << 20;
/// Follows every batch: nothing of an earlier use looks like the start of the next frame.
const TERMINATOR: [u8; FRAME_HEADER] = [0; FRAME_HEADER];

/// The synchronous core of the journal.
pub struct Log {
    journal: u128,
    view: View,
    max_record: usize,
    active: Option<Active>,
    next_seq: Seq,
    next_number: u64,
    /// Events accepted since the journal began.
    accepted: u64,
    write_state: WriteState,
    buffer: Vec<u8>,
}

/// The segment that is written to.
struct Active {
    file: Arc<dyn DiskFile>,
    segment: Arc<Segment>,
    end: u64,
}

/// Outcome of a batch. The first `accepted` of its records have the sequences from `first` on, and are synced. The
/// others were refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The sequence of the first record, if any was accepted.
    pub first: Seq,
    /// Number of accepted records.
    pub accepted: usize,
    /// Reason for which the others were refused.
    pub refusal: Option<AppendError>,
}

impl Log {
    /// Opens the journal in a folder that no other process writes to.
    pub fn open(disk: Arc<dyn Disk>, options: &Options) -> Result<(Self, Recovery), OpenError> {
        options.check()?;
        let found = recover(&*disk, options)?;
        let watermark = found.next_seq - 1;
        let catalog = Arc::new(Catalog::new(found.segments, found.voids, watermark, found.bytes));
        let recovery = Recovery {
            oldest_seq: catalog.oldest_seq().unwrap_or(found.next_seq),
            next_seq: found.next_seq,
            torn_tail: found.torn_tail,
            segments: catalog.len(),
            notes: found.notes,
        };
        let pool =
            Arc::new(Pool::new(Arc::clone(&disk), options.segment_size, options.max_size, found.files));
        let accepted = catalog.accepted_through(watermark);
        let active = found.resume_at.and_then(|end| Active::resume(&*disk, &catalog, end));
        let view = View::new(disk, catalog, pool);
        let log = Self {
            journal: found.journal,
            view,
            max_record: options.max_record(),
            active,
            next_seq: found.next_seq,
            next_number: found.next_number,
            accepted,
            write_state: WriteState::Writable,
            buffer: Vec::new(),
        };
        Ok((log, recovery))
    }

    /// Returns the view for readers. It stays valid when the log is gone.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Returns whether the next record can be accepted.
    pub fn write_state(&self) -> &WriteState {
        &self.write_state
    }

    /// Writes the records and syncs them, in their order. After a failed write or sync they are written
    /// once more, to another segment; if that fails too they are refused, as is everything from then on
    /// until [`Log::probe`] succeeds.
    pub fn append_batch(&mut self, records: &[Bytes]) -> Appended {
        let mut all = Appended { first: self.next_seq, accepted: 0, refusal: None };
        while all.accepted < records.len() && all.refusal.is_none() {
            let part = self.append_part(&records[all.accepted..]);
            all.accepted += part.accepted;
            all.refusal = part.refusal;
        }
        all
    }

    /// Writes as many of the records as one sync is for, at least one, or refuses all of them. Their senders need not
    /// wait for the rest.
    pub fn append_part(&mut self, records: &[Bytes]) -> Appended {
        let first = self.next_seq;
        if records.first().is_some_and(|record| record.len() > self.max_record) {
            return Appended { first, accepted: 0, refusal: Some(AppendError::TooLarge) };
        }
        match self.append_some(records) {
            Ok(accepted) => Appended { first, accepted, refusal: None },
            Err(refusal) => Appended { first, accepted: 0, refusal: Some(refusal) },
        }
    }

    /// Finds out whether a trouble is over; also prepares the next segment if none is ready. To be
    /// called about every second while [`Log::write_state`] is not writable.
    pub fn probe(&mut self) {
        let outcome = match self.write_state {
            WriteState::Failing { .. } => self.roll(),
            WriteState::Writable | WriteState::Full => self.view.pool().prepare(1).map_err(WriteError::from),
        };
        match outcome {
            Ok(()) => self.write_state = WriteState::Writable,
            // A segment that still has room is not full.
            Err(WriteError::Full) if self.write_state == WriteState::Writable && self.active.is_some() => {}
            Err(error) => {
                self.fail(&error);
            }
        }
    }

    fn append_some(&mut self, records: &[Bytes]) -> Result<usize, AppendError> {
        if matches!(self.write_state, WriteState::Failing { .. }) {
            return Err(AppendError::Unavailable);
        }
        let mut outcome = self.write_some(records);
        if let Err(WriteError::Disk(error)) = &outcome {
            tracing::warn!(error = %error, "journal write failed, writing the batch once more");
            outcome = self.write_some(records);
        }
        outcome.map_err(|error| self.fail(&error))
    }

    /// Writes as many records as fit the active segment, at least one.
    fn write_some(&mut self, records: &[Bytes]) -> Result<usize, WriteError> {
        let first_len = records.first().map_or(0, |record| frame::frame_len(record.len()));
        if self.active.as_ref().is_none_or(|active| active.room() < first_len) {
            if self.write_state == WriteState::Full && !self.view.pool().is_ready() {
                return Err(WriteError::Full);
            }
            self.roll()?;
        }
        let Some(active) = &mut self.active else { return Err(WriteError::Full) };
        let synced = self.next_seq - 1;
        let mut seq = self.next_seq;
        self.buffer.clear();
        // One that is too large for any segment comes first in the next part, and is refused there.
        for record in records.iter().take_while(|record| record.len() <= self.max_record) {
            let len = self.buffer.len() as u64 + frame::frame_len(record.len());
            if len > active.room() || (seq > self.next_seq && len > MAX_BATCH as u64) {
                break;
            }
            frame::encode(&mut self.buffer, active.segment.keys, seq, synced, record);
            seq += 1;
        }
        let end = active.end + self.buffer.len() as u64;
        let terminator =
            TERMINATOR.len().min(usize::try_from(active.segment.size - end).unwrap_or(usize::MAX));
        self.buffer.extend_from_slice(&TERMINATOR[..terminator]);
        let written =
            active.file.write_all_at(&self.buffer, active.end).and_then(|()| active.file.sync_data());
        self.buffer.shrink_to(2 * MAX_BATCH);
        if let Err(error) = written {
            active.segment.poison();
            self.active = None;
            return Err(WriteError::from(error));
        }
        active.end = end;
        let count = seq - self.next_seq;
        self.next_seq = seq;
        self.accepted += count;
        self.view.catalog().advance(&active.segment, end, seq - 1);
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Goes on in a new segment, whose header is synced before anything is written behind it.
    fn roll(&mut self) -> Result<(), WriteError> {
        let catalog = self.view.catalog();
        let (file_name, file) = self.view.pool().take()?;
        let number = self.next_number;
        self.next_number += 1;
        let header = Header {
            journal: self.journal,
            number,
            salt: rand::random(),
            first_seq: self.next_seq,
            accepted_before: self.accepted,
            bytes_before: catalog.bytes(),
            // Asked only now: the file just taken may have been the oldest until a moment ago.
            oldest_live: catalog.oldest_number().unwrap_or(number),
            voids: Vec::new(),
        };
        let mut start = header.encode();
        start.extend_from_slice(&TERMINATOR);
        if let Err(error) = file.write_all_at(&start, 0).and_then(|()| file.sync_data()) {
            self.view.pool().discard(file_name);
            // That header may be on the disk all the same and turn up again, and then the old segment
            // owns nothing from here on: nothing may be added to it.
            self.active = None;
            return Err(WriteError::from(error));
        }
        let segment = Arc::new(Segment::new(file_name, &header, self.view.pool().segment_size(), DATA_START));
        let replaced = catalog.push(Arc::clone(&segment));
        self.view.pool().recycle(replaced.as_slice());
        self.active = Some(Active { file, segment, end: DATA_START });
        self.write_state = WriteState::Writable;
        Ok(())
    }

    fn fail(&mut self, error: &WriteError) -> AppendError {
        match error {
            WriteError::Full => {
                self.write_state = WriteState::Full;
                AppendError::Full
            }
            WriteError::Disk(error) => {
                self.write_state = WriteState::Failing { reason: error.to_string() };
                AppendError::Unavailable
            }
        }
    }
}

impl Active {
    /// Resumes the last segment of an earlier run, whose frames end at `end`. There may be remains after it of a batch
    /// that was never acknowledged: they are no frames, and are overwritten like the remains of an earlier use. If the
    /// file cannot be opened, a new segment is begun instead.
    fn resume(disk: &dyn Disk, catalog: &Catalog, end: u64) -> Option<Self> {
        let segment = catalog.last()?;
        let file = disk.open(&segment.file_name).ok()?;
        Some(Self { file, segment, end })
    }

    fn room(&self) -> u64 {
        self.segment.size - self.end
    }
}

enum WriteError {
    Full,
    Disk(std::io::Error),
}

impl From<std::io::Error> for WriteError {
    fn from(error: std::io::Error) -> Self {
        if is_full(&error) { Self::Full } else { Self::Disk(error) }
    }
}

impl From<PoolError> for WriteError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Full => Self::Full,
            PoolError::Disk(error) => Self::Disk(error),
        }
    }
}
