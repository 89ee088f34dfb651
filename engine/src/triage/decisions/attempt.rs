//! The event at which triage began after a start, and how often the process has died there: a file `triage.attempt` beside
//! the decision files. Rules that end the process, and not only panic, would otherwise end it at each start.
//!
//! ```text
//! offset  bytes  field
//! 0       8      magic: "vattempt"
//! 8       8      sequence of the first event that was to be decided
//! 16      4      number of earlier starts that began at it and decided nothing
//! 20      4      CRC-32C of everything before it
//! ```

use std::io;
use std::sync::Arc;

use crate::journal::{Disk, DiskFile, Seq};

const NAME: &str = "triage.attempt";
const MAGIC: [u8; 8] = *b"vattempt";
const LENGTH: usize = 24;

/// Records that the events from `seq` on are about to be decided, and syncs that. Returns the number of earlier starts that
/// began at the same event and did not get past it.
///
/// # Errors
/// The disk fails: nothing is to be decided.
pub(super) fn begin(disk: &dyn Disk, seq: Seq) -> io::Result<u32> {
    let (file, is_new) = open(disk)?;
    let mut bytes = [0; LENGTH];
    // What cannot be read counts as another event.
    let before = file.read_at(&mut bytes, 0).ok().and_then(|_| decode(&bytes));
    let deaths = before.filter(|(at, _)| *at == seq).map_or(0, |(_, deaths)| deaths.saturating_add(1));
    file.write_all_at(&encode(seq, deaths), 0)?;
    file.sync_data()?;
    if is_new {
        disk.sync_dir()?;
    }
    Ok(deaths)
}

fn open(disk: &dyn Disk) -> io::Result<(Arc<dyn DiskFile>, bool)> {
    match disk.open(NAME) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((disk.create(NAME)?, true)),
        opened => Ok((opened?, false)),
    }
}

fn encode(seq: Seq, deaths: u32) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..16].copy_from_slice(&seq.to_le_bytes());
    bytes[16..20].copy_from_slice(&deaths.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..20]);
    bytes[20..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; LENGTH]) -> Option<(Seq, u32)> {
    let crc = u32::from_le_bytes(*bytes[20..].first_chunk()?);
    let is_whole = bytes.starts_with(&MAGIC) && crc == crc32c::crc32c(&bytes[..20]);
    let seq = u64::from_le_bytes(*bytes[8..].first_chunk()?);
    is_whole.then_some((seq, u32::from_le_bytes(*bytes[16..].first_chunk()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::sim::SimDisk;

    #[test]
    fn starts_that_begin_at_the_same_event_are_counted() {
        let disk = SimDisk::new();
        let begun = [5, 5, 5, 9, 5, 5].map(|seq| begin(&disk, seq).unwrap());
        assert_eq!(begun, [0, 1, 2, 0, 0, 1]);
    }

    #[test]
    fn damaged_count_begins_anew() {
        let disk = SimDisk::new();
        assert_eq!([5, 5].map(|seq| begin(&disk, seq).unwrap()), [0, 1]);
        disk.rot(NAME, 17, 1);
        assert_eq!(begin(&disk, 5).unwrap(), 0);
    }
}
