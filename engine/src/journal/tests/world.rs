//! A journal on a simulated disk beside the plain list of what it was given, and the comparison of both.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::Arc;

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::journal::header::{HEADER_BLOCK, Header};
use crate::journal::sim::{Operation, SimDisk};
use crate::journal::{Disk, Entry, Log, OpenError, Options, Reader, Recovery, Seq};

/// Small, so that a few records fill it.
pub(super) const SEGMENT: u64 = 16 << 10;
const TAG: &[u8; 8] = b"\0record\0";

pub(super) fn options() -> Options {
    Options { segment_size: SEGMENT, max_size: 12 * SEGMENT, min_next_seq: 1 }
}

/// A journal on a simulated disk, beside a reference of the records that it must give back.
pub(super) struct World {
    pub(super) disk: SimDisk,
    pub(super) log: Log,
    /// Records that were accepted, and records that were refused and have been read since.
    pub(super) accepted: BTreeMap<Seq, Bytes>,
    /// Records that a test tried to append: number and bytes of each.
    attempted: BTreeMap<u64, Bytes>,
    /// Accepted records whose bytes on the disk were damaged.
    pub(super) damaged: BTreeSet<Seq>,
    /// Sequences that a reader returned as void.
    pub(super) voids: BTreeSet<Seq>,
    /// The sequence up to which the journal was freed.
    pub(super) freed: Seq,
    /// The highest sequence that the state would have seen by now.
    pub(super) state_max: Seq,
}

impl World {
    pub(super) fn new() -> Self {
        Self::on(SimDisk::new())
    }

    /// Returns a world with eight batches of three records, which fill three segments.
    pub(super) fn filled() -> Self {
        let mut world = Self::new();
        for _ in 0..8 {
            assert_eq!(world.append(&[200, 1_000, 1_100]), 3);
        }
        assert_eq!(world.segments().len(), 3);
        world
    }

    pub(super) fn on(disk: SimDisk) -> Self {
        let (log, _) = Log::open(Arc::new(disk.clone()), &options()).unwrap();
        Self {
            disk,
            log,
            accepted: BTreeMap::new(),
            attempted: BTreeMap::new(),
            damaged: BTreeSet::new(),
            voids: BTreeSet::new(),
            freed: 0,
            state_max: 0,
        }
    }

    /// Appends one batch of records of these lengths, at least 16 bytes each. Returns the number of accepted records.
    pub(super) fn append(&mut self, lens: &[usize]) -> usize {
        let batch: Vec<_> = lens.iter().map(|len| self.record(*len)).collect();
        let next_seq = self.log.view().watermark() + 1;
        let appended = self.log.append_batch(&batch);
        assert_eq!(appended.first, next_seq);
        assert_eq!(appended.refusal.is_none(), appended.accepted == batch.len());
        assert_eq!(self.log.view().watermark() + 1, next_seq + appended.accepted as u64);
        self.accepted.extend((next_seq..).zip(batch.into_iter().take(appended.accepted)));
        appended.accepted
    }

    fn record(&mut self, len: usize) -> Bytes {
        let number = self.attempted.len() as u64;
        let mut bytes = [&TAG[..], &number.to_le_bytes()].concat();
        // Unlike noise, a pattern would show which record a byte strayed from.
        bytes.extend((16..len).map(|at| number.to_le_bytes()[0].wrapping_add(at.to_le_bytes()[0]) | 1));
        self.attempted.insert(number, bytes.clone().into());
        bytes.into()
    }

    /// Kills the process and opens the journal anew. Its writes are still there.
    pub(super) fn kill(&mut self) -> Recovery {
        self.disk.heal();
        self.reopen()
    }

    /// Cuts the power of the simulated machine and opens the journal anew.
    pub(super) fn cut_power(&mut self, seed: u64) -> Recovery {
        self.disk = self.disk.after_power_cut(&mut StdRng::seed_from_u64(seed));
        self.reopen()
    }

    pub(super) fn try_open(&self) -> Result<(Log, Recovery), OpenError> {
        let options = Options { min_next_seq: self.state_max + 1, ..options() };
        Log::open(Arc::new(self.disk.clone()), &options)
    }

    /// Kills the process and opens the journal anew, unless the power is cut.
    pub(super) fn kill_while_there_is_power(&mut self) {
        self.disk.heal();
        if let Ok(opened) = self.try_open() {
            self.go_on(opened);
        }
    }

    fn reopen(&mut self) -> Recovery {
        let opened = self.try_open().unwrap();
        self.go_on(opened)
    }

    fn go_on(&mut self, (log, recovery): (Log, Recovery)) -> Recovery {
        self.log = log;
        assert_eq!(recovery.next_seq, self.log.view().watermark() + 1);
        // A last batch of which nothing is left is as if it had never been.
        let forgotten = self.accepted.split_off(&recovery.next_seq);
        assert!(forgotten.keys().all(|seq| self.damaged.remove(seq)), "forgotten: {forgotten:?}");
        self.check();
        recovery
    }

    /// Reads everything that is not freed, and compares.
    pub(super) fn check(&mut self) {
        let view = self.log.view().clone();
        let mut reader = view.reader(self.freed);
        while self.read_one(&mut reader, false) {}
        assert_eq!(reader.position().after, view.watermark());
        assert_eq!(view.bytes_after(&reader.position()), 0);
        self.check_counts();
    }

    /// Reads and compares one entry; false at the watermark. A reader from before the damage may still
    /// have the bytes.
    pub(super) fn read_one(&mut self, reader: &mut Reader, is_old: bool) -> bool {
        let first = reader.position().after + 1;
        let Some(entry) = reader.next_insisting().unwrap() else { return false };
        match &entry {
            Entry::Record { seq, bytes } => {
                assert_eq!(*seq, first);
                assert!(is_old || !self.damaged.contains(seq), "{seq} was damaged");
                self.check_record(*seq, bytes);
            }
            Entry::Damaged { first: from, last } => {
                assert_eq!(*from, first);
                for seq in first..=*last {
                    assert!(self.damaged.contains(&seq), "{seq} is reported damaged, and was not");
                    assert!(!self.voids.contains(&seq), "{seq} was void before");
                }
            }
            Entry::Void { first: from, last } => {
                assert_eq!(*from, first);
                for seq in first..=*last {
                    let gone = !self.accepted.contains_key(&seq) || self.damaged.contains(&seq);
                    assert!(gone, "{seq} is reported void, and was accepted");
                    self.voids.insert(seq);
                }
            }
        }
        assert_eq!(reader.position().after, entry.last());
        true
    }

    fn check_record(&mut self, seq: Seq, bytes: &Bytes) {
        assert!(!self.voids.contains(&seq), "{seq} was void before");
        if let Some(accepted) = self.accepted.get(&seq) {
            assert_eq!(bytes, accepted, "record {seq}");
            return;
        }
        // Refused, or under way when the power went, and on the disk all the same: then it is whole, no
        // other sequence has it, and from now on it is an event as any other.
        let number = u64::from_le_bytes(*bytes[8..].first_chunk().unwrap());
        assert_eq!(Some(bytes), self.attempted.get(&number), "record {seq} was never appended");
        assert!(!self.accepted.values().any(|accepted| accepted == bytes), "record {seq} twice");
        self.accepted.insert(seq, bytes.clone());
    }

    fn check_counts(&self) {
        let view = self.log.view();
        for seq in self.freed..=view.watermark() {
            let voids = self.voids.range(..=seq).count() as u64;
            assert_eq!(view.accepted_through(seq), seq - voids, "accepted through {seq}");
        }
    }

    /// Frees the journal up to `seq`.
    pub(super) fn free(&mut self, seq: Seq) {
        self.freed = self.freed.max(seq);
        self.state_max = self.state_max.max(seq);
        self.log.view().free_through(seq);
    }

    /// Returns the segment files with their numbers.
    pub(super) fn segments(&self) -> BTreeMap<u64, String> {
        let names = self.disk.list().unwrap_or_default();
        let numbered = names.into_iter().filter_map(|name| {
            let content = self.disk.content(&name)?;
            let copies = [content.get(..HEADER_BLOCK)?, content.get(HEADER_BLOCK..2 * HEADER_BLOCK)?];
            let number =
                copies.iter().filter_map(|copy| Header::decode(copy).ok()).map(|header| header.number);
            Some((number.max()?, name))
        });
        numbered.collect()
    }

    /// Returns file and offset of every record's payload that recovery would read.
    pub(super) fn payloads(&self) -> BTreeMap<Bytes, (String, usize)> {
        let mut found = BTreeMap::new();
        // In ascending order of segments, so that a rewritten copy replaces the first.
        for name in self.segments().into_values() {
            let content = self.disk.content(&name).unwrap();
            for at in (0..content.len().saturating_sub(16)).step_by(8) {
                if content[at..].starts_with(TAG) {
                    let number = u64::from_le_bytes(*content[at + 8..].first_chunk().unwrap());
                    let bytes = self.attempted.get(&number).cloned();
                    let bytes = bytes.filter(|bytes| content[at..].starts_with(bytes));
                    found.extend(bytes.map(|bytes| (bytes, (name.clone(), at))));
                }
            }
        }
        found
    }

    /// Damages a file; every live record of which a byte changed is expected to be gone.
    pub(super) fn damage(&mut self, name: &str, change: impl FnOnce(&mut [u8])) {
        let before = self.disk.content(name).unwrap();
        let mut after = before.clone();
        change(&mut after);
        let payloads = self.payloads();
        for (offset, (old, new)) in before.iter().zip(&after).enumerate() {
            if old != new {
                self.disk.rot(name, offset, *new);
            }
        }
        for (seq, bytes) in &self.accepted {
            if let Some((_, at)) = payloads.get(bytes).filter(|(file, _)| file == name) {
                let frame = at - 32..at + bytes.len();
                if before[frame.clone()] != after[frame] {
                    self.damaged.insert(*seq);
                }
            }
        }
    }

    /// Makes a page of a file unreadable. Every live record with a byte in it is expected to be damaged.
    pub(super) fn lose_page(&mut self, name: &str, page: usize) {
        let payloads = self.payloads();
        self.disk.lose_page(name, page as u64);
        for (seq, bytes) in &self.accepted {
            if let Some((_, at)) = payloads.get(bytes).filter(|(file, _)| file == name)
                && at - 32 < (page + 1) * 4096
                && at + bytes.len() > page * 4096
            {
                self.damaged.insert(*seq);
            }
        }
    }

    /// Replaces a file, or removes it; every live record that is not in the new one is expected to be gone.
    pub(super) fn replace(&mut self, name: &str, content: Option<Vec<u8>>) {
        let payloads = self.payloads();
        let kept = content.as_ref().map_or(0, Vec::len);
        self.disk.set_content(name, content);
        for (seq, bytes) in &self.accepted {
            let place = payloads.get(bytes).filter(|(file, _)| file == name);
            if place.is_some_and(|(_, at)| at + bytes.len() > kept) {
                self.damaged.insert(*seq);
            }
        }
    }

    /// Reads every entry after `after` and checks none.
    pub(super) fn read(&self, after: Seq) -> Vec<Entry> {
        let mut reader = self.log.view().reader(after);
        std::iter::from_fn(|| reader.next_insisting().unwrap()).collect()
    }

    /// Returns the entry that a reader must return for an accepted record.
    pub(super) fn entry(&self, seq: Seq) -> Entry {
        Entry::Record { seq, bytes: self.accepted[&seq].clone() }
    }

    /// Returns file and offset of the frame of an accepted record.
    pub(super) fn frame_of(&self, seq: Seq) -> (String, usize) {
        let (file, at) = self.payloads().remove(&self.accepted[&seq]).unwrap();
        (file, at - 32)
    }

    /// Checks that the journal accepts and frees again, once the disk works and everything is read.
    pub(super) fn check_alive(&mut self) {
        self.disk.heal();
        self.disk.set_capacity(None);
        self.log.probe();
        self.free(self.log.view().watermark());
        self.log.probe();
        assert_eq!(self.append(&[100]), 1, "{:?}", self.log.write_state());
        self.check();
    }

    pub(super) fn fail(&self, operation: Operation, skip: u32, times: u32) {
        self.disk.fail(operation, skip, times, ErrorKind::Other);
    }
}
