//! Resources that the process takes from its machine, as the kernel counts them.

use std::fs;

use rustix::{
    param::page_size,
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

/// Returns the bytes of memory in use; `None` without `/proc`.
pub(super) fn resident_memory() -> Option<f64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u32 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(f64::from(pages) * f64::from(u32::try_from(page_size()).ok()?))
}

/// Returns the number of open files and sockets; absent where there is no `/proc`.
pub(super) fn open_files() -> Option<f64> {
    // Reading the folder opens one more.
    let entries = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    u32::try_from(entries).ok().map(f64::from)
}

/// Returns the maximum number of files that it may have open.
pub(super) fn max_files() -> f64 {
    let limit = getrlimit(Resource::Nofile).current;
    limit.and_then(|files| u32::try_from(files).ok()).map_or(f64::INFINITY, f64::from)
}

/// Returns the processor time of all threads, in seconds.
pub(super) fn cpu_seconds() -> f64 {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    std::time::Duration::try_from(spent).map_or(0.0, |spent| spent.as_secs_f64())
}
