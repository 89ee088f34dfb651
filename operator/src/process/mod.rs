//! The process: its command line, health endpoints, metrics, election and start.

pub mod args;
pub mod definitions;
pub mod discovery;
pub mod endpoints;
pub mod events;
pub mod fence;
pub mod installation;
pub mod leader;
pub mod metrics;
pub mod probe;
pub mod run;
