//! Black-box tests: the binaries, their files, their sockets, and nothing of their inside.

mod collector;
