//! The live segments, as writer and readers see them: who owns which sequences, and how far it is safe
//! to read. Memory is per segment, never per event.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::Seq;
use super::frame::Keys;
use super::header::{DATA_START, Header};

/// Sequences from `first` through `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeqRange {
    pub(super) first: Seq,
    pub(super) last: Seq,
}

impl SeqRange {
    pub(super) fn contains(self, seq: Seq) -> bool {
        (self.first..=self.last).contains(&seq)
    }

    /// Returns the number of these sequences in `from..=through`.
    pub(super) fn count_within(self, from: Seq, through: Seq) -> u64 {
        (self.last.min(through) + 1).saturating_sub(self.first.max(from))
    }
}

/// One use of a segment file, as files that lie beside it name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentUse {
    /// Number of this use, growing with each use of any segment.
    pub number: u64,
    /// Random number of this use.
    pub salt: u64,
    /// First sequence of this use.
    pub first_seq: Seq,
}

impl From<&Segment> for SegmentUse {
    fn from(segment: &Segment) -> Self {
        Self { number: segment.number, salt: segment.keys.salt(), first_seq: segment.first_seq }
    }
}

/// One use of a segment file.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file_name: String,
    pub(super) number: u64,
    pub(super) keys: Keys,
    pub(super) first_seq: Seq,
    pub(super) accepted_before: u64,
    pub(super) bytes_before: u64,
    /// Bytes of the file.
    pub(super) size: u64,
    /// Everything before this offset is synced; of a segment of an earlier run that is not gone on in, the size.
    synced_end: AtomicU64,
    /// A write or sync failed, and the bytes behind `synced_end` are not known; or a page cannot be read. The
    /// file is never used again.
    poisoned: AtomicBool,
}

impl Segment {
    pub(super) fn new(file_name: String, header: &Header, size: u64, synced_end: u64) -> Self {
        Self {
            file_name,
            number: header.number,
            keys: Keys::new(header.salt),
            first_seq: header.first_seq,
            accepted_before: header.accepted_before,
            bytes_before: header.bytes_before,
            size,
            synced_end: AtomicU64::new(synced_end),
            poisoned: AtomicBool::new(false),
        }
    }

    pub(super) fn synced_end(&self) -> u64 {
        self.synced_end.load(Ordering::Acquire)
    }

    pub(super) fn poison(&self) {
        self.poisoned.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes of frames before `offset` since the journal began.
    pub(super) fn bytes_at(&self, offset: u64) -> u64 {
        self.bytes_before + (offset - DATA_START)
    }
}

/// All live segments, oldest first, and the watermark. Once it has a segment it always keeps the last.
pub(super) struct Catalog {
    live: RwLock<Live>,
    watermark: AtomicU64,
    /// Number of bytes of frames up to the watermark since the journal began.
    bytes: AtomicU64,
    /// Segments with a smaller number are not live, whatever a reader still holds.
    oldest_number: AtomicU64,
}

#[derive(Default)]
struct Live {
    segments: VecDeque<Arc<Segment>>,
    /// Void sequences of the live segments, in ascending order.
    voids: Vec<SeqRange>,
}

/// The place to look for a sequence.
pub(super) enum Location {
    /// In no live segment: the oldest begins at this sequence.
    Before(Seq),
    /// In this segment, if anywhere.
    In(Owned),
}

/// A segment with what it owns.
pub(super) struct Owned {
    pub(super) segment: Arc<Segment>,
    /// The first sequence that is not, or not yet, to be read in this segment.
    pub(super) limit: Seq,
    /// Owned sequences that were never acknowledged; nearly always none.
    pub(super) voids: Vec<SeqRange>,
}

impl Catalog {
    /// Makes a catalog. `segments` are oldest first; `voids` are ascending.
    pub(super) fn new(
        segments: VecDeque<Arc<Segment>>,
        voids: Vec<SeqRange>,
        watermark: Seq,
        bytes: u64,
    ) -> Self {
        let oldest_number = segments.front().map_or(0, |segment| segment.number);
        Self {
            live: RwLock::new(Live { segments, voids }),
            watermark: AtomicU64::new(watermark),
            bytes: AtomicU64::new(bytes),
            oldest_number: AtomicU64::new(oldest_number),
        }
    }

    /// Returns the highest synced sequence.
    pub(super) fn watermark(&self) -> Seq {
        self.watermark.load(Ordering::Acquire)
    }

    /// Number of bytes of frames up to the watermark since the journal began.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Publishes a synced batch; in this order, so that a reader who sees the watermark sees the rest.
    pub(super) fn advance(&self, segment: &Segment, synced_end: u64, watermark: Seq) {
        segment.synced_end.store(synced_end, Ordering::Release);
        self.bytes.store(segment.bytes_at(synced_end), Ordering::Relaxed);
        self.watermark.store(watermark, Ordering::Release);
    }

    /// Adds a new last segment, which owns every sequence from its first on. Returns the one before if that was
    /// poisoned before anything in it was synced, and owns nothing now.
    pub(super) fn push(&self, segment: Arc<Segment>) -> Option<Arc<Segment>> {
        let mut live = self.write();
        let owns_nothing = |last: &Arc<Segment>| last.is_poisoned() && last.first_seq == segment.first_seq;
        let replaced = live.segments.pop_back_if(|last| owns_nothing(last));
        if live.segments.is_empty() {
            self.oldest_number.store(segment.number, Ordering::Release);
        }
        live.segments.push_back(segment);
        replaced
    }

    /// Takes out the segments, oldest first, whose sequences are all at most `seq`.
    pub(super) fn free_through(&self, seq: Seq) -> Vec<Arc<Segment>> {
        let mut freed = Vec::new();
        let mut live = self.write();
        while live.segments.get(1).is_some_and(|next| next.first_seq <= seq.saturating_add(1)) {
            freed.extend(live.segments.pop_front());
        }
        if let Some(oldest) = live.segments.front().map(Arc::clone) {
            live.voids.retain(|void| void.last >= oldest.first_seq);
            self.oldest_number.store(oldest.number, Ordering::Release);
        }
        freed
    }

    /// Returns the newest live segment.
    pub(super) fn last(&self) -> Option<Arc<Segment>> {
        self.read().segments.back().map(Arc::clone)
    }

    /// Returns the number of the oldest live segment.
    pub(super) fn oldest_number(&self) -> Option<u64> {
        self.read().segments.front().map(|segment| segment.number)
    }

    /// Returns the first sequence of the oldest live segment.
    pub(super) fn oldest_seq(&self) -> Option<Seq> {
        self.read().segments.front().map(|segment| segment.first_seq)
    }

    /// Returns the segment that owns a sequence, or will; `None` if that was freed, or there is none yet.
    pub(super) fn owner(&self, seq: Seq) -> Option<SegmentUse> {
        let live = self.read();
        let after = live.segments.partition_point(|segment| segment.first_seq <= seq);
        let owner = after.checked_sub(1).and_then(|index| live.segments.get(index));
        owner.map(|segment| SegmentUse::from(&**segment))
    }

    /// Returns the oldest live segment.
    pub(super) fn oldest(&self) -> Option<SegmentUse> {
        self.read().segments.front().map(|segment| SegmentUse::from(&**segment))
    }

    /// Returns whether the segment is still in the use that was just read, and not in its next one.
    pub(super) fn is_live(&self, segment: &Segment) -> bool {
        segment.number >= self.oldest_number.load(Ordering::Acquire)
    }

    /// Returns the place of `seq`, which is at most the watermark.
    pub(super) fn locate(&self, seq: Seq) -> Location {
        let live = self.read();
        let watermark = self.watermark();
        // Of several segments with the same first sequence the last one owns it.
        let after = live.segments.partition_point(|segment| segment.first_seq <= seq);
        let Some(segment) = after.checked_sub(1).and_then(|index| live.segments.get(index)) else {
            return Location::Before(live.segments.front().map_or(watermark + 1, |first| first.first_seq));
        };
        let limit = live.segments.get(after).map_or(watermark + 1, |next| next.first_seq);
        let owned = |void: &&SeqRange| void.last >= seq && void.first < limit;
        Location::In(Owned {
            segment: Arc::clone(segment),
            limit,
            voids: live.voids.iter().filter(owned).copied().collect(),
        })
    }

    /// Returns the number of events accepted with a sequence of at most `seq`, or the watermark, since the journal
    /// began.
    pub(super) fn accepted_through(&self, seq: Seq) -> u64 {
        let live = self.read();
        let seq = seq.min(self.watermark());
        let after = live.segments.partition_point(|segment| segment.first_seq <= seq);
        let Some(segment) = after.checked_sub(1).and_then(|index| live.segments.get(index)) else {
            // Nothing is known of what was freed but that it was, nearly all of it, events.
            let first = live.segments.front();
            return first.map_or(seq, |first| {
                first.accepted_before.saturating_sub(first.first_seq.saturating_sub(seq + 1))
            });
        };
        let voids: u64 = live.voids.iter().map(|void| void.count_within(segment.first_seq, seq)).sum();
        let accepted = segment.accepted_before + (seq + 1 - segment.first_seq) - voids;
        live.segments.get(after).map_or(accepted, |next| accepted.min(next.accepted_before))
    }

    /// Returns the number of live segments.
    pub(super) fn len(&self) -> usize {
        self.read().segments.len()
    }

    // Nothing that runs under the lock can panic half-way, so a poisoned lock still guards a whole list.
    fn read(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }
}
