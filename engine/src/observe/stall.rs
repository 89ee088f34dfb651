//! A loop that hangs, as a fault of ours would make it: for tests of the watchdog and of all that listens to it, in builds
//! with the feature `stall` and in no others. A file in the data folder names the loop.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;

static FILE: OnceLock<PathBuf> = OnceLock::new();

/// From now on the loop that the file `stall` of this folder names hangs at its next tick. It takes the file away, or
/// the next process would hang, too.
pub fn obey(data_dir: &Path) {
    let _ = FILE.set(data_dir.join("stall")); // one data folder a process
}

/// Hangs for ever if this loop is named.
pub(super) fn if_asked(name: &str) {
    let Some(file) = FILE.get() else { return };
    let is_named = fs::read_to_string(file).is_ok_and(|named| named.trim() == name);
    if is_named && fs::remove_file(file).is_ok() {
        tracing::warn!(name, "hanging, as asked");
        loop {
            thread::park();
        }
    }
}
