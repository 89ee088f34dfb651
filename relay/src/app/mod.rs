//! The relay as a whole: opened ([`open`]), assembled and run until SIGTERM ([`run`]), and brought up to date when files
//! change ([`apply`]).

pub mod apply;
pub mod open;
pub mod run;
