//! The journal without its thread: one batch after the other, each synced before it counts. It has no
//! clock and starts nothing in the background, so a test can drive it through every fault.

use std::sync::Arc;

use bytes::Bytes;

use super::batch::Batch;
use super::disk::{Disk, DiskFile};
use super::frame::{self, FRAME_HEADER};
use super::header::{DATA_START, Header};
use super::pool::{Pool, PoolError, is_full};
use super::recovery::recover;
use super::segment::{Catalog, Segment};
use super::view::View;
use super::{AppendError, OpenError, Options, Recovery, Seq, WriteState};

/// Bytes after which a batch is cut, so that the first of a long queue need not wait for the last.
const MAX_BATCH: u64 = 1 << 20;
/// Bytes that the system reads before a part of them is written, unless it has them in memory.
const PAGE: u64 = 4096;

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
        let mut batch = Batch::default();
        for record in records {
            batch.push(|to| to.extend_from_slice(record));
        }
        let mut all = Appended { first: self.next_seq, accepted: 0, refusal: None };
        while !batch.is_empty() && all.refusal.is_none() {
            let part = self.append_part(&mut batch);
            all.accepted += part.accepted;
            all.refusal = part.refusal;
        }
        all
    }

    /// Writes as many of the batch's records as one sync is for, at least one, or refuses all that are left. Their
    /// senders need not wait for the rest.
    pub fn append_part(&mut self, batch: &mut Batch) -> Appended {
        let first = self.next_seq;
        if batch.lens().next().is_some_and(|len| len > self.max_record) {
            return Appended { first, accepted: 0, refusal: Some(AppendError::TooLarge) };
        }
        match self.append_some(batch) {
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

    fn append_some(&mut self, batch: &mut Batch) -> Result<usize, AppendError> {
        if matches!(self.write_state, WriteState::Failing { .. }) {
            return Err(AppendError::Unavailable);
        }
        let mut outcome = self.write_some(batch);
        if let Err(WriteError::Disk(error)) = &outcome {
            tracing::warn!(error = %error, "journal write failed, writing the batch once more");
            outcome = self.write_some(batch);
        }
        outcome.map_err(|error| self.fail(&error))
    }

    /// Writes as many records as fit the active segment, at least one.
    fn write_some(&mut self, batch: &mut Batch) -> Result<usize, WriteError> {
        let first_len = batch.lens().next().map_or(0, frame::frame_len);
        if self.active.as_ref().is_none_or(|active| active.room() < first_len) {
            if self.write_state == WriteState::Full && !self.view.pool().is_ready() {
                return Err(WriteError::Full);
            }
            self.roll()?;
        }
        let Some(active) = &mut self.active else { return Err(WriteError::Full) };
        let (count, len) = fitting(batch, active.room(), self.max_record);
        let end = active.end + len;
        let terminator = terminator(end, active.segment.size, count == batch.len());
        let synced = self.next_seq - 1;
        let frames = batch.seal(count, active.segment.keys, self.next_seq, synced, terminator);
        let written = active.file.write_all_at(frames, active.end).and_then(|()| active.file.sync_data());
        if let Err(error) = written {
            active.segment.poison();
            self.active = None;
            return Err(WriteError::from(error));
        }
        batch.written(count);
        active.end = end;
        self.next_seq += count as u64;
        self.accepted += count as u64;
        self.view.catalog().advance(&active.segment, end, self.next_seq - 1);
        Ok(count)
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
        start.resize(start.len() + terminator(DATA_START, self.view.pool().segment_size(), true), 0);
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

/// Returns the number of zeroes that follow the frames which end at `end`: nothing of an earlier use looks like the start
/// of the next frame. The last ones of a batch fill their page, so that the system need not read it from the disk.
fn terminator(end: u64, segment_size: u64, is_last: bool) -> usize {
    let header = end + FRAME_HEADER as u64;
    let zeroes_end = if is_last { header.next_multiple_of(PAGE) } else { header };
    usize::try_from(zeroes_end.min(segment_size) - end).unwrap_or(FRAME_HEADER)
}

/// Returns the number of records that one write takes in so much room, and the bytes of their frames. One that is too
/// large for any segment comes first in the next part, and is refused there.
fn fitting(batch: &Batch, room: u64, max_record: usize) -> (usize, u64) {
    let (mut count, mut bytes) = (0, 0);
    for len in batch.lens().take_while(|len| *len <= max_record) {
        let with_this = bytes + frame::frame_len(len);
        if with_this > room || (count > 0 && with_this > MAX_BATCH) {
            break;
        }
        (count, bytes) = (count + 1, with_this);
    }
    (count, bytes)
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
