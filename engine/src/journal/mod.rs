//! placeholder

/// The place of a record; the first is 1, none is used twice.
pub type Seq = u64;
