//! Limits of the undelivered events in the state file, with which its reserve always suffices.

/// Bounds of one waiting room, or of one destination's dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomLimits {
    /// Maximum number of events.
    pub events: u64,
    /// Maximum number of bytes, [`RoomLimits::COST`] per event included.
    pub bytes: u64,
}

impl RoomLimits {
    /// Maximum number of events of any room.
    pub const EVENTS: u64 = 10_000;
    /// Bytes of an event in the file besides its own: its row, its error, its share of pages.
    pub const COST: u64 = 512;

    /// Returns the smallest of 10,000 events, 64 MiB, and the destination's share of the reserve.
    pub fn share(reserve: u64, destinations: usize) -> Self {
        // SQLite's pages can be half empty, and every destination has two rooms.
        let share = database_bytes(reserve) / 2 / 2 / (destinations.max(1) as u64);
        Self { events: Self::EVENTS, bytes: share.min(64 << 20) }
    }
}

/// Returns the part of the reserve that is the database's. The rest is for its write-ahead log.
pub(super) fn database_bytes(reserve: u64) -> u64 {
    reserve / 4 * 3
}
