//! The header of a segment: who it is, whose it is, and what came before it. It fits one 512-byte sector,
//! so that a power cut leaves it whole or absent, and lies twice, in block 0 and block 1, so that one lost
//! block does not take the salt and with it every record along.

use super::Seq;
use super::segment::SeqRange;

/// One copy of the header, padded.
pub(super) const HEADER_BLOCK: usize = 4096;
/// Offset of the first frame, after both copies of the header.
pub(super) const DATA_START: u64 = 2 * HEADER_BLOCK as u64;
/// Maximum number of voids with which the header fits a sector.
pub(super) const MAX_VOIDS: usize = (SECTOR - FIXED - CRC) / VOID;

const SECTOR: usize = 512;
const MAGIC: [u8; 8] = *b"visnyk\r\n";
const VERSION: u32 = 1;
/// Magic, version, number of voids, journal, and six 64-bit fields.
const FIXED: usize = 8 + 4 + 4 + 16 + 6 * 8;
const VOID: usize = 16;
const CRC: usize = 4;
/// More than a journal ever counts to, events and bytes; sums and differences of smaller numbers are numbers, too.
const MAX_COUNT: u64 = 1 << 60;

/// Header of one use of a segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Random; the same in all segments of a journal, so that a foreign file is noticed.
    pub(super) journal: u128,
    /// Counts the uses of segments; grows with every one.
    pub(super) number: u64,
    /// Random; seeds the checksums of every frame of this use.
    pub(super) salt: u64,
    /// The sequence of the first frame. The segments before own nothing from here on.
    pub(super) first_seq: Seq,
    /// Events accepted with a sequence below `first_seq` since the journal began.
    pub(super) accepted_before: u64,
    /// Bytes of frames before this segment since the journal began.
    pub(super) bytes_before: u64,
    /// Number of the oldest segment that was needed when this use began.
    pub(super) oldest_live: u64,
    /// Sequences of this segment that were never acknowledged and cannot be read, as a recovery found
    /// while it was the last one: the only change a header ever sees. At most [`MAX_VOIDS`].
    pub(super) voids: Vec<SeqRange>,
}

/// The reason for which a copy of a header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    /// All zero: this segment was never used.
    Blank,
    /// Too short, not ours, or damaged.
    Unreadable,
    /// Whole, but written by a version of Visnyk that this one does not know.
    Version(u32),
}

impl Header {
    /// Returns the start of a segment: both copies.
    pub(super) fn encode(&self) -> Vec<u8> {
        debug_assert!(self.voids.len() <= MAX_VOIDS);
        let mut block = Vec::with_capacity(2 * HEADER_BLOCK);
        block.extend_from_slice(&MAGIC);
        block.extend_from_slice(&VERSION.to_le_bytes());
        block.extend_from_slice(&u32::try_from(self.voids.len()).unwrap_or(u32::MAX).to_le_bytes());
        block.extend_from_slice(&self.journal.to_le_bytes());
        let fields = [
            self.number,
            self.salt,
            self.first_seq,
            self.accepted_before,
            self.bytes_before,
            self.oldest_live,
        ];
        let voids = self.voids.iter().flat_map(|void| [void.first, void.last]);
        for field in fields.into_iter().chain(voids) {
            block.extend_from_slice(&field.to_le_bytes());
        }
        block.extend_from_slice(&crc32c::crc32c(&block).to_le_bytes());
        block.resize(HEADER_BLOCK, 0);
        block.extend_from_within(..);
        block
    }

    /// Reads one copy from the start of its block.
    pub(super) fn decode(block: &[u8]) -> Result<Self, BadHeader> {
        if block.iter().all(|byte| *byte == 0) {
            return Err(BadHeader::Blank);
        }
        Self::decode_used(block).ok_or(BadHeader::Unreadable)?
    }

    fn decode_used(block: &[u8]) -> Option<Result<Self, BadHeader>> {
        let u32_at = |at: usize| Some(u32::from_le_bytes(*block.get(at..)?.first_chunk()?));
        let u64_at = |at: usize| Some(u64::from_le_bytes(*block.get(at..)?.first_chunk()?));
        if !block.starts_with(&MAGIC) {
            return None;
        }
        let count = u32_at(12)? as usize;
        if count > MAX_VOIDS {
            return None;
        }
        let end = FIXED + count * VOID;
        if u32_at(end)? != crc32c::crc32c(&block[..end]) {
            return None;
        }
        let version = u32_at(8)?;
        if version != VERSION {
            return Some(Err(BadHeader::Version(version)));
        }
        let voids = (0..count)
            .map(|index| FIXED + index * VOID)
            .map(|at| Some(SeqRange { first: u64_at(at)?, last: u64_at(at + 8)? }))
            .collect::<Option<_>>()?;
        let header = Self {
            journal: u128::from_le_bytes(*block.get(16..)?.first_chunk()?),
            number: u64_at(32)?,
            salt: u64_at(40)?,
            first_seq: u64_at(48)?,
            accepted_before: u64_at(56)?,
            bytes_before: u64_at(64)?,
            oldest_live: u64_at(72)?,
            voids,
        };
        header.makes_sense().then_some(Ok(header))
    }

    /// Returns whether the next segment begins after the last sequence of this one.
    pub(super) fn ends_before(&self, next: &Self) -> bool {
        self.first_seq <= next.first_seq && self.voids.iter().all(|void| void.last < next.first_seq)
    }

    /// Returns whether the numbers are possible: a right checksum does not say who wrote it.
    fn makes_sense(&self) -> bool {
        let Self { number, first_seq, accepted_before, bytes_before, oldest_live, .. } = *self;
        let is_own =
            |void: &SeqRange| first_seq <= void.first && void.first <= void.last && void.last < MAX_COUNT;
        [number, first_seq, accepted_before, bytes_before].iter().all(|count| *count < MAX_COUNT)
            && first_seq > 0
            && oldest_live <= number
            && self.voids.iter().all(is_own)
            && self.voids.is_sorted_by(|void, next| void.last < next.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(voids: usize) -> Header {
        let voids =
            (300..300 + voids as u64).map(|at| SeqRange { first: at * 10, last: at * 10 + 3 }).collect();
        Header {
            journal: u128::MAX / 3,
            number: 12,
            salt: 0xdead_beef_0bad_cafe,
            first_seq: 3_000,
            accepted_before: 2_900,
            bytes_before: 1 << 33,
            oldest_live: 7,
            voids,
        }
    }

    #[test]
    fn header_is_read_from_either_copy() {
        for voids in [0, 1, MAX_VOIDS] {
            let encoded = header(voids).encode();
            assert_eq!(encoded.len() as u64, DATA_START);
            assert_eq!(Header::decode(&encoded[..HEADER_BLOCK]), Ok(header(voids)));
            assert_eq!(Header::decode(&encoded[HEADER_BLOCK..]), Ok(header(voids)));
        }
    }

    #[test]
    fn fullest_header_fits_one_sector() {
        let encoded = header(MAX_VOIDS).encode();
        assert!(encoded[SECTOR..HEADER_BLOCK].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn header_of_a_newer_version_is_told_from_a_damaged_one() {
        let mut encoded = header(0).encode();
        encoded[8] = 2;
        assert_eq!(Header::decode(&encoded), Err(BadHeader::Unreadable));
        let crc = crc32c::crc32c(&encoded[..FIXED]);
        encoded[FIXED..FIXED + 4].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Header::decode(&encoded), Err(BadHeader::Version(2)));
    }

    #[test]
    fn zeroes_are_a_segment_never_used() {
        assert_eq!(Header::decode(&[0; HEADER_BLOCK]), Err(BadHeader::Blank));
        assert_eq!(Header::decode(&[]), Err(BadHeader::Blank));
    }

    proptest! {
        #[test]
        fn one_flipped_bit_is_noticed(voids in 0..MAX_VOIDS, place: prop::sample::Index, bit in 0u8..8) {
            let mut encoded = header(voids).encode();
            let place = place.index(FIXED + voids * VOID + CRC);
            encoded[place] ^= 1 << bit;
            prop_assert!(Header::decode(&encoded[..HEADER_BLOCK]).is_err());
        }

        #[test]
        fn no_bytes_make_decode_panic(mut bytes: Vec<u8>, ours: bool) {
            if ours && bytes.len() >= MAGIC.len() {
                bytes[..MAGIC.len()].copy_from_slice(&MAGIC);
            }
            let _ = Header::decode(&bytes);
        }
    }
}
