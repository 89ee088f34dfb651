//! Exit codes of the processes, for the person, the kubelet or the Job of the operator that started one.

/// Exit code that sysexits.h calls a usage error: the manifest has to change before another try makes sense.
pub const BAD_CONFIGURATION: u8 = 64;
/// Exit code of a drain that tried every event and could not deliver some. Another try does not help: a person must
/// decide.
pub const UNDELIVERED: u8 = 3;
