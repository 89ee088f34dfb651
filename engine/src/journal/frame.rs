//! A frame: one record as it lies in a segment. Eight-byte aligned, 32 bytes of header, then the payload.
//! Both checksums are seeded by the segment's salt, which no sender knows and no earlier use of the
//! segment had: neither a forged frame nor a left-over one is ever taken for a record.

use super::Seq;

/// Bytes before the payload.
pub(super) const FRAME_HEADER: usize = 32;
/// Every frame begins at a multiple of this.
pub(super) const ALIGN: u64 = ALIGN_BYTES as u64;
/// The same, of memory.
pub(super) const ALIGN_BYTES: usize = 8;

/// The two halves of a segment's salt, each the seed of one checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    header: u32,
    payload: u32,
}

impl Keys {
    /// # Panics
    /// Never: both halves of a `u64` are `u32`s.
    #[allow(clippy::cast_possible_truncation)] // taking the halves is the point
    pub(super) fn new(salt: u64) -> Self {
        Self { header: (salt >> 32) as u32, payload: salt as u32 }
    }

    /// Returns the salt.
    pub(super) fn salt(self) -> u64 {
        u64::from(self.header) << 32 | u64::from(self.payload)
    }
}

/// Header of a frame. A value of this type means that the header's checksum was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    payload_crc: u32,
    /// Bytes of payload, without the padding behind it.
    pub(super) payload_len: u32,
    /// The record's sequence; never 0.
    pub(super) seq: Seq,
    /// The watermark synced before the batch of this frame was written.
    pub(super) synced: Seq,
}

/// Returns the bytes that a payload takes up in a segment: header, payload, padding.
pub(super) fn frame_len(payload_len: usize) -> u64 {
    frame_bytes(payload_len) as u64
}

/// Bytes that a payload takes up in memory: the same.
pub(super) fn frame_bytes(payload_len: usize) -> usize {
    (FRAME_HEADER + payload_len).next_multiple_of(ALIGN_BYTES)
}

/// Fills in the header of a frame whose payload of `payload_len` bytes is there, with its padding.
pub(super) fn seal(frame: &mut [u8], keys: Keys, seq: Seq, synced: Seq, payload_len: u32) {
    let (header, payload) = frame.split_at_mut(FRAME_HEADER);
    let payload_crc = crc32c::crc32c_append(keys.payload, &payload[..payload_len as usize]);
    header[4..8].copy_from_slice(&payload_crc.to_le_bytes());
    header[8..12].copy_from_slice(&payload_len.to_le_bytes());
    header[12..16].fill(0);
    header[16..24].copy_from_slice(&seq.to_le_bytes());
    header[24..].copy_from_slice(&synced.to_le_bytes());
    let header_crc = crc32c::crc32c_append(keys.header, &header[4..]);
    header[..4].copy_from_slice(&header_crc.to_le_bytes());
}

/// Appends the frame of `payload` to `buffer`, which holds frames only.
#[cfg(test)]
pub(super) fn encode(buffer: &mut Vec<u8>, keys: Keys, seq: Seq, synced: Seq, payload: &[u8]) {
    let start = buffer.len();
    buffer.resize(start + FRAME_HEADER, 0xa5);
    buffer.extend_from_slice(payload);
    buffer.resize(start + frame_bytes(payload.len()), 0);
    seal(&mut buffer[start..], keys, seq, synced, u32::try_from(payload.len()).unwrap());
}

/// Returns whether the header of the record `seq` may once have been in these zeroes. Of a header that a power cut or a
/// lost sector has damaged, at least a checksum remains, or a sequence. A lone bit that is in none of its sequences has
/// flipped by itself.
pub(super) fn was_begun(bytes: &[u8; FRAME_HEADER], seq: Seq) -> bool {
    let (_, left) = FrameHeader::read(bytes);
    match bytes.iter().map(|byte| byte.count_ones()).sum() {
        0 => false,
        1 => left.seq == seq || (1..seq).contains(&left.synced),
        2.. => true,
    }
}

impl FrameHeader {
    /// Reads a header from the first [`FRAME_HEADER`] bytes; `None` if these are not one.
    pub(super) fn decode(keys: Keys, bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; FRAME_HEADER] = bytes.first_chunk()?;
        let (header_crc, header) = Self::read(bytes);
        // Zeroes are the usual neighbour of the last frame, and no salt may make them a frame.
        let is_one = header.seq != 0 && header_crc == crc32c::crc32c_append(keys.header, &bytes[4..]);
        is_one.then_some(header)
    }

    /// Returns the header's checksum, and the header if that is right.
    fn read(bytes: &[u8; FRAME_HEADER]) -> (u32, Self) {
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let header =
            Self { payload_crc: u32_at(4), payload_len: u32_at(8), seq: u64_at(16), synced: u64_at(24) };
        (u32_at(0), header)
    }

    /// Returns the number of bytes from this frame to the next.
    pub(super) fn frame_len(&self) -> u64 {
        frame_len(self.payload_len as usize)
    }

    /// Returns whether `payload` has the bytes that were written.
    pub(super) fn is_of(&self, keys: Keys, payload: &[u8]) -> bool {
        payload.len() == self.payload_len as usize
            && crc32c::crc32c_append(keys.payload, payload) == self.payload_crc
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frame_is_read_as_it_was_written(salt: u64, seq in 1u64.., synced: u64, payload: Vec<u8>) {
            let keys = Keys::new(salt);
            let mut buffer = Vec::new();
            encode(&mut buffer, keys, seq, synced, &payload);
            prop_assert_eq!(buffer.len() as u64, frame_len(payload.len()));
            let header = FrameHeader::decode(keys, &buffer).unwrap();
            prop_assert_eq!((header.seq, header.synced), (seq, synced));
            prop_assert!(header.is_of(keys, &buffer[FRAME_HEADER..FRAME_HEADER + payload.len()]));
        }

        #[test]
        fn one_flipped_bit_is_noticed(payload: Vec<u8>, place: prop::sample::Index, bit in 0u8..8) {
            let keys = Keys::new(0x0123_4567_89ab_cdef);
            let mut buffer = Vec::new();
            encode(&mut buffer, keys, 7, 6, &payload);
            let place = place.index(FRAME_HEADER + payload.len());
            buffer[place] ^= 1 << bit;
            let intact = FrameHeader::decode(keys, &buffer)
                .is_some_and(|header| header.is_of(keys, &buffer[FRAME_HEADER..FRAME_HEADER + payload.len()]));
            prop_assert!(!intact);
        }

        #[test]
        fn no_bytes_make_decode_panic(salt: u64, bytes: Vec<u8>) {
            let _ = FrameHeader::decode(Keys::new(salt), &bytes);
        }
    }

    #[test]
    fn zeroes_are_no_frame_under_any_salt() {
        // The salt whose header half makes the checksum of zeroes zero, as found by inverting the CRC,
        // cannot be listed here; that the sequence 0 is refused before any checksum is what counts.
        let mut buffer = Vec::new();
        encode(&mut buffer, Keys::new(9), 0, 0, b"");
        assert_eq!(FrameHeader::decode(Keys::new(9), &buffer), None);
    }

    #[test]
    fn frame_of_another_salt_is_no_frame() {
        let mut buffer = Vec::new();
        encode(&mut buffer, Keys::new(1 << 32 | 1), 5, 4, b"payload");
        assert_eq!(FrameHeader::decode(Keys::new(2 << 32 | 1), &buffer), None);
        let header = FrameHeader::decode(Keys::new(1 << 32 | 2), &buffer).unwrap();
        assert!(!header.is_of(Keys::new(1 << 32 | 2), b"payload"));
    }
}
