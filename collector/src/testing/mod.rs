//! Support for the unit tests of this crate.

pub mod faulty_storage;
