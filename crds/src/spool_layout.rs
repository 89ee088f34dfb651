//! The division of a spool's room. The relay lays the spool out like this; validation refuses a size that is too
//! small.

/// Minimum size of a segment of the journal: small enough to be freed often, large enough that roll-overs are rare.
const MIN_SEGMENT: u64 = 8 << 20;
/// Room for an event's headers beside its body in a record.
const HEADERS: u64 = 64 << 10;
/// Part of the spool that is reserved for the state file, so that a full journal never stops deliveries.
const STATE_DIVISOR: u64 = 4;
/// Minimum number of segments: the journal continues in one while another is freed.
const MIN_SEGMENTS: u64 = 2;

/// The division of a spool's room. All sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolLayout {
    /// Size of all of the journal's files together.
    pub journal: u64,
    /// Size of one of the journal's files.
    pub segment: u64,
    /// Size of the state file with its log.
    pub state: u64,
}

impl SpoolLayout {
    /// Divides a spool of `size` bytes for bodies of at most `max_body_size` bytes. None where it is too small.
    pub fn of(size: u64, max_body_size: u64) -> Option<Self> {
        let (segment, state) = (segment(max_body_size), size / STATE_DIVISOR);
        let journal = size - state;
        (journal / MIN_SEGMENTS >= segment).then_some(Self { journal, segment, state })
    }

    /// Returns the smallest spool for bodies of at most `max_body_size` bytes, in whole MiB.
    pub fn min_mebibytes(max_body_size: u64) -> u64 {
        let journal = MIN_SEGMENTS * segment(max_body_size);
        (journal * STATE_DIVISOR).div_ceil((STATE_DIVISOR - 1) << 20)
    }
}

fn segment(max_body_size: u64) -> u64 {
    MIN_SEGMENT.max((2 * (max_body_size + HEADERS)).next_power_of_two())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smallest_size_is_the_smallest_that_can_be_divided() {
        for (max_body_size, mebibytes) in [(1 << 10, 22), (1 << 20, 22), (8 << 20, 86), (32 << 20, 342)] {
            assert_eq!(SpoolLayout::min_mebibytes(max_body_size), mebibytes);
            assert!(SpoolLayout::of(mebibytes << 20, max_body_size).is_some());
            assert_eq!(SpoolLayout::of((mebibytes - 1) << 20, max_body_size), None);
        }
    }
}
