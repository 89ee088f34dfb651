//! What the process says about itself, beside the way of an event: whether its loops still turn,
//! whether it can take events in, its figures, and its log.

pub mod causes;
pub mod logging;
pub mod metrics;
mod process;
pub mod readiness;
#[cfg(debug_assertions)]
pub mod stall;
pub mod watchdog;
