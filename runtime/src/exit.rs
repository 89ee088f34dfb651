//! Exit codes of the processes, for the person, the kubelet or the Job of the operator that started one.

/// Exit code that sysexits.h calls a usage error: the manifest has to change before another try makes sense.
pub const BAD_CONFIGURATION: u8 = 64;
/// All was tried, and some could not be delivered. Another try would change nothing: what is left waits for a person.
pub const UNDELIVERED: u8 = 3;
