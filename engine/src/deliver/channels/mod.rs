//! The ways in which an attempt leaves the relay.

pub mod http;
