//! What the black-box tests need: the real binaries on addresses of their own ([`process`], [`address`],
//! [`binary`]), a client for them ([`client`]) and waiting for a condition ([`patience`]).
//!
//! Everything here panics when the world is not as it should be: it is the test that fails then.

#![allow(clippy::missing_panics_doc, clippy::unwrap_used, clippy::expect_used)]

pub mod address;
pub mod binary;
pub mod client;
pub mod patience;
pub mod process;
