//! A row's CRC covers every other of its columns.

use super::rows::{kind_column, lifecycle_columns};
use crate::state::batch::{DestinationRow, HeldRow};

pub(super) fn meta_crc(key: &str, value: i64) -> i64 {
    Crc::default().bytes(key.as_bytes()).int(value).finish()
}

pub(super) fn destination_crc(row: &DestinationRow) -> i64 {
    let (lifecycle, removed_at_ms) = lifecycle_columns(row.lifecycle);
    let counts = [row.cursor, row.delivered, row.dropped, row.damaged, row.waiting, row.dead_lettered];
    let crc = Crc::default()
        .int(i64::from(row.id.0))
        .bytes(row.name.as_bytes())
        .bytes(row.fingerprint.as_bytes())
        .int(row.accepted_at_creation)
        .bytes(&row.window)
        .int(lifecycle)
        .int(removed_at_ms);
    let crc = counts.iter().fold(crc, |crc, count| crc.int(count.cast_signed()));
    // Rows of the first schema have no such count.
    if row.filtered == 0 { crc.finish() } else { crc.int(row.filtered.cast_signed()).finish() }
}

pub(super) fn held_crc(row: &HeldRow) -> i64 {
    Crc::default()
        .int(row.row)
        .int(i64::from(row.destination.0))
        .int(row.seq.cast_signed())
        .int(kind_column(row.kind))
        .int(i64::from(row.attempts))
        .int(row.at_ms)
        .int(row.delay_ms.cast_signed())
        .int(row.received_at_ms)
        .bytes(row.note.as_bytes())
        .int(row.size.cast_signed())
        .int(i64::from(row.checksum))
        .finish()
}

pub(super) fn seen_crc(row: i64, events: &[u8]) -> i64 {
    Crc::default().int(row).bytes(events).finish()
}

/// CRC-32C over columns. The type and length of each column are part of it.
#[derive(Default)]
struct Crc(u32);

impl Crc {
    fn int(self, value: i64) -> Self {
        Self(crc32c::crc32c_append(self.0, &value.to_le_bytes()))
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        let Self(crc) = self.int((bytes.len() as u64).cast_signed());
        Self(crc32c::crc32c_append(crc, bytes))
    }

    fn finish(self) -> i64 {
        i64::from(self.0)
    }
}
