//! Exit codes of the processes, for a person, the kubelet and the operator's Jobs.

/// The manifest is invalid (`EX_USAGE` of sysexits.h). Another start with the same manifest ends the same way.
pub const BAD_CONFIGURATION: u8 = 64;
/// `--deliver-only` tried everything, and dead letters or damaged events are left. Another start would change nothing.
pub const UNDELIVERED: u8 = 3;
