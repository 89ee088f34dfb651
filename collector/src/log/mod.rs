//! Where an event's way ends in the collector: one body becomes one line of a file, synced before the
//! sender hears of it. [`line`] makes the line, [`file`] appends it, [`writer`] shares one sync among many.

pub mod file;
pub mod line;
pub mod storage;
pub mod writer;
