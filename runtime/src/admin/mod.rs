//! The endpoints beside the listener: probes, metrics and status over HTTP ([`health`]), and commands over a Unix socket in
//! the data folder ([`socket`]).

pub mod health;
pub mod socket;
