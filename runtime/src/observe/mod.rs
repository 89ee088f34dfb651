//! The state that the process reports about itself: its watchdogs, its readiness, its metrics, and its log.

pub mod causes;
pub mod logging;
pub mod metrics;
mod process;
pub mod readiness;
#[cfg(debug_assertions)]
pub mod stall;
pub mod watchdog;
