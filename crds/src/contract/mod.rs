//! The contract between the operator and the processes that it runs: names and shapes that one side writes and the other
//! reads, each declared once. Metrics, condition types and the on-disk formats are not part of it.

pub mod exit;
pub mod flags;
pub mod manifest;
pub mod paths;
pub mod peers;
pub mod status;

/// Port of probes, metrics and status. No listener may use it.
pub const HEALTH_PORT: u16 = 8081;
