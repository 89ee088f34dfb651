//! Support for the black-box tests: the real binaries on addresses of their own ([`process`], [`relay`],
//! [`collector`]), manifests for them ([`manifest`]), the world around them ([`sender`], [`sink`]), and the judge of
//! promise 2 ([`conservation`]).
//!
//! Everything here panics when the world is not as it should be: it is the test that fails then.

#![allow(clippy::disallowed_methods, reason = "tests connect to the servers that they started")]
#![allow(clippy::missing_panics_doc, clippy::unwrap_used, clippy::expect_used)]

pub mod authority;
pub mod balancer;
pub mod binary;
pub mod client;
pub mod collector;
pub mod conservation;
pub mod faulty;
pub mod files;
pub mod flood;
pub mod honest;
pub mod http2;
pub mod island;
pub mod manifest;
pub mod mount;
pub mod name_server;
pub mod pace;
pub mod power;
pub mod probes;
pub mod process;
pub mod proof;
pub mod provider;
pub mod relay;
pub mod segments;
pub mod sender;
pub mod trap;
pub mod wire;

pub use visnyk_sinks::{address, sink, tally, wait};
