//! The format of a decision file.
//!
//! ```text
//! offset
//! 0       +--------------------------+
//!         | header, tables           |   a multiple of 4096 bytes, padded with zeroes
//! H       +--------------------------+
//!         | entry of first_seq       |   32 bytes each; entry n is of sequence first_seq + n
//!         | entry of first_seq + 1   |
//!         | ...                      |
//!         +--------------------------+
//!         | zeroes                   |   room for more, up to a multiple of 64 KiB
//!         +--------------------------+
//!
//! header  offset  bytes  field
//!         0       8      magic: "vdecide\n"
//!         8       4      version: 1
//!         12      4      H, length of the header in bytes
//!         16      8      number of the segment's use
//!         24      8      salt of that use
//!         32      8      salt of this file: random
//!         40      8      first_seq: the sequence of the first entry
//!         48      4      length of the tables in bytes
//!         52      n      tables, postcard: the destinations by bit, and the names of the rules
//!         52+n    4      CRC of everything before it
//!
//! entry   offset  bytes  field
//!         0       4      CRC of the sequence and of bytes 4 to 31, seeded with the lower half of the salt
//!         4       1      verdict: 1 decided, 2 dropped, 3 decided without rules
//!         5       1      lane: 0 Critical, 1 Major, 2 Minor, 3 Informational
//!         6       2      index of the rule that dropped it; 65535: none did
//!         8       8      hash of the key of the order; 0: none
//!         16      8      bitmap of the destinations for which it is a dead letter, because an expression failed
//!         24      8      bitmap of the destinations that get it
//! ```
//!
//! Integers are little-endian. CRC is CRC-32C. The zeroes of a sequence that is no event, or was not decided, are no
//! entry: the checksum of an entry is never right for them.

use serde::{Deserialize, Serialize};

use crate::journal::{SegmentUse, Seq};

/// Length of an entry in bytes.
pub const ENTRY: usize = 32;
/// Maximum number of destinations of a file.
pub const MAX_DESTINATIONS: usize = 64;

/// The header's length is a multiple of this.
const BLOCK: usize = 4096;
/// Bytes before the tables.
const FIXED: usize = 52;
/// Maximum length of a header in bytes: more is no header.
const MAX_HEADER: usize = 1 << 20;
const MAGIC: [u8; 8] = *b"vdecide\n";
const VERSION: u32 = 1;
const NO_RULE: u16 = u16::MAX;

/// The content of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) segment: u64,
    pub(super) segment_salt: u64,
    pub(super) salt: u64,
    pub(super) first_seq: Seq,
    pub(super) tables: Tables,
}

/// The names that the entries of a file refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tables {
    /// The destinations, by their bit. At most [`MAX_DESTINATIONS`].
    pub destinations: Vec<Addressee>,
    /// The names of the rules, by their index.
    pub rules: Vec<String>,
}

/// A destination, as it was when the events were decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addressee {
    /// Its name in the manifest.
    pub name: String,
    /// Condition for its events, its `when`.
    pub when: Option<String>,
    /// Its `onError` is `DeadLetter`.
    pub dead_letters_errors: bool,
}

/// The outcome for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes to the destinations of the bitmap.
    Decided,
    /// The rule of this index dropped it.
    Dropped(u16),
    /// The rules could not be evaluated: it goes to all destinations.
    WithoutRules,
}

/// The decision about one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Outcome of the rules for the event.
    pub verdict: Verdict,
    /// The lane: 0 is the most urgent, 3 the least.
    pub lane: u8,
    /// Hash of the key of the order; 0: none.
    pub key: u64,
    /// Bits of the destinations for which it is a dead letter.
    pub dead: u64,
    /// Bits of the destinations that get it.
    pub selected: u64,
}

impl Decision {
    /// Returns the same decision by other tables. What these do not know is left out.
    pub(super) fn translated(self, from: &Tables, to: &Tables) -> Self {
        if from == to {
            return self;
        }
        let bits = |bits: u64| {
            let has = |name: &str| {
                let bit = from.destinations.iter().position(|destination| destination.name == name);
                bit.is_some_and(|bit| bits >> bit & 1 == 1)
            };
            let of = |(bit, destination): (usize, &Addressee)| u64::from(has(&destination.name)) << bit;
            to.destinations.iter().take(MAX_DESTINATIONS).enumerate().map(of).sum()
        };
        let verdict = match self.verdict {
            Verdict::Dropped(rule) => {
                let name = from.rules.get(usize::from(rule));
                let rule = name.and_then(|name| to.rules.iter().position(|rule| rule == name));
                Verdict::Dropped(rule.and_then(|rule| u16::try_from(rule).ok()).unwrap_or(NO_RULE))
            }
            verdict => verdict,
        };
        Self { verdict, dead: bits(self.dead), selected: bits(self.selected), ..self }
    }
}

/// A header that is not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    /// It is damaged, or no header.
    Unreadable,
    /// A later version of Visnyk wrote it.
    Newer(u32),
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        // Into memory a list of names always serialises; without tables the header is no header.
        let tables = postcard::to_stdvec(&self.tables).unwrap_or_default();
        let length = (FIXED + tables.len() + 4).next_multiple_of(BLOCK);
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        for number in [self.segment, self.segment_salt, self.salt, self.first_seq] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&u32::try_from(tables.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(&tables);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes.resize(length, 0);
        bytes
    }

    /// Returns the length of the header that begins so; `None` if none does.
    pub(super) fn length(start: &[u8]) -> Option<usize> {
        let length = u32::from_le_bytes(*start.get(12..16)?.first_chunk()?) as usize;
        let is_length = length.is_multiple_of(BLOCK) && (BLOCK..=MAX_HEADER).contains(&length);
        (start.starts_with(&MAGIC) && is_length).then_some(length)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        let version = bytes.get(8..12).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_le_bytes(*bytes));
        match version {
            Some(version) if bytes.starts_with(&MAGIC) && version > VERSION => Err(BadHeader::Newer(version)),
            _ => Self::read(bytes).ok_or(BadHeader::Unreadable),
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let end = FIXED.checked_add(u32::from_le_bytes(*bytes.get(48..)?.first_chunk()?) as usize)?;
        let crc = u32::from_le_bytes(*bytes.get(end..)?.first_chunk()?);
        if !bytes.starts_with(&MAGIC) || crc != crc32c::crc32c(bytes.get(..end)?) {
            return None;
        }
        let tables = postcard::from_bytes(bytes.get(FIXED..end)?).ok()?;
        Some(Self {
            segment: number(16)?,
            segment_salt: number(24)?,
            salt: number(32)?,
            first_seq: number(40)?,
            tables,
        })
    }

    /// Returns whether it lies beside this use of a segment.
    pub(super) fn is_of(&self, segment: &SegmentUse) -> bool {
        self.segment == segment.number && self.segment_salt == segment.salt
    }
}

/// Encodes the entry of a sequence in a file with this salt.
pub(super) fn encode(salt: u64, seq: Seq, decision: &Decision) -> [u8; ENTRY] {
    let (verdict, rule) = match decision.verdict {
        Verdict::Decided => (1, NO_RULE),
        Verdict::Dropped(rule) => (2, rule),
        Verdict::WithoutRules => (3, NO_RULE),
    };
    let mut entry = [0; ENTRY];
    entry[4] = verdict;
    entry[5] = decision.lane;
    entry[6..8].copy_from_slice(&rule.to_le_bytes());
    entry[8..16].copy_from_slice(&decision.key.to_le_bytes());
    entry[16..24].copy_from_slice(&decision.dead.to_le_bytes());
    entry[24..].copy_from_slice(&decision.selected.to_le_bytes());
    let crc = checksum(salt, seq, &entry);
    entry[..4].copy_from_slice(&crc.to_le_bytes());
    entry
}

/// Decodes the entry of a sequence in a file with this salt; `None` if these bytes are not one.
pub(super) fn decode(salt: u64, seq: Seq, entry: &[u8; ENTRY]) -> Option<Decision> {
    let number = |at: usize| entry[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let crc = u32::from_le_bytes(*entry.first_chunk()?);
    let rule = u16::from_le_bytes(*entry[6..].first_chunk()?);
    let verdict = match entry[4] {
        1 => Verdict::Decided,
        2 => Verdict::Dropped(rule),
        3 => Verdict::WithoutRules,
        _ => return None,
    };
    let decision =
        Decision { verdict, lane: entry[5], key: number(8)?, dead: number(16)?, selected: number(24)? };
    (crc == checksum(salt, seq, entry)).then_some(decision)
}

#[allow(clippy::cast_possible_truncation)] // the lower half is the seed
fn checksum(salt: u64, seq: Seq, entry: &[u8; ENTRY]) -> u32 {
    let seed = crc32c::crc32c_append(salt as u32, &seq.to_le_bytes());
    crc32c::crc32c_append(seed, &entry[4..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_decision() -> impl Strategy<Value = Decision> {
        let verdict = prop_oneof![
            Just(Verdict::Decided),
            any::<u16>().prop_map(Verdict::Dropped),
            Just(Verdict::WithoutRules)
        ];
        (verdict, 0u8..4, any::<u64>(), any::<u64>(), any::<u64>())
            .prop_map(|(verdict, lane, key, dead, selected)| Decision { verdict, lane, key, dead, selected })
    }

    proptest! {
        #[test]
        fn entry_is_read_as_it_was_written_and_by_no_other_salt_or_sequence(
            decision in any_decision(), salt in any::<u64>(), seq in 1u64.., flip in 0usize..ENTRY * 8,
        ) {
            let mut entry = encode(salt, seq, &decision);
            prop_assert_eq!(decode(salt, seq, &entry), Some(decision));
            prop_assert_eq!(decode(salt ^ 1, seq, &entry), None);
            prop_assert_eq!(decode(salt, seq - 1, &entry), None);
            entry[flip / 8] ^= 1 << (flip % 8);
            prop_assert_eq!(decode(salt, seq, &entry), None);
        }

        #[test]
        fn header_is_read_as_it_was_written_and_not_with_a_bit_flipped(
            numbers in any::<[u64; 4]>(),
            names in proptest::collection::vec(("[a-z]{1,40}", any::<Option<String>>(), any::<bool>()), 0..64),
            rules in proptest::collection::vec("[a-z]{1,63}", 0..128),
            flip in any::<proptest::sample::Index>(),
        ) {
            let destinations = names.into_iter().map(|(name, when, dead_letters_errors)| {
                Addressee { name, when, dead_letters_errors }
            });
            let tables = Tables { destinations: destinations.collect(), rules };
            let [segment, segment_salt, salt, first_seq] = numbers;
            let header = Header { segment, segment_salt, salt, first_seq, tables };
            let mut bytes = header.encode();
            prop_assert_eq!(Header::length(&bytes), Some(bytes.len()));
            prop_assert_eq!(Header::decode(&bytes), Ok(header));
            let tables_len = u32::from_le_bytes(*bytes[48..].first_chunk().unwrap()) as usize;
            let bit = flip.index((FIXED + tables_len + 4) * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Header::decode(&bytes).is_err());
        }

        #[test]
        fn no_bytes_make_decode_panic(bytes in any::<Vec<u8>>()) {
            let _ = (Header::length(&bytes), Header::decode(&bytes));
        }
    }

    #[test]
    fn zeroes_are_no_entry_whatever_the_salt() {
        for salt in [0, 1, u64::MAX] {
            assert_eq!(decode(salt, 7, &[0; ENTRY]), None);
        }
    }
}
