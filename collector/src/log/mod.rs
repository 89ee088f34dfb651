//! The end of an event's way in the collector: one body becomes one line of a file, synced before the sender is
//! answered. [`mod@line`] makes the line, [`mod@file`] appends it, [`writer`] shares one sync among many.

pub mod file;
pub mod line;
pub mod storage;
pub mod writer;
