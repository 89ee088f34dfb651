//! Support for the unit tests of this crate.

pub(crate) mod kubelet;
pub(crate) mod server;
