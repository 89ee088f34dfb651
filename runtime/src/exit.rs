//! What a process ends with, for whoever started it: a person, the kubelet, the operator's Jobs.

/// What sysexits.h calls a usage error: the manifest has to change before another try makes sense.
pub const BAD_CONFIGURATION: u8 = 64;
/// All was tried, and some could not be delivered. Another try would change nothing: what is left waits for a person.
pub const UNDELIVERED: u8 = 3;
