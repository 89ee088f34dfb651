//! placeholder
#![allow(dead_code)]
mod log;
fn main() {}
