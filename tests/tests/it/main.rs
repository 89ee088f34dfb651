//! Black-box tests: the binaries, their files, their sockets, and nothing of their inside.

// What is not as it should be fails the test.
#![allow(clippy::disallowed_methods, reason = "tests connect to the servers that they started")]
#![allow(clippy::unwrap_used)]

mod collector;
mod proof;
mod relay;
mod surroundings;
