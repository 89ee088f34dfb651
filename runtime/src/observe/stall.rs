//! Makes a loop hang on request, as a bug would: for tests of the watchdog and of everything that acts on it. Debug builds
//! have it, release builds do not. The file `stall` in the data folder names the loop.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;

static FILE: OnceLock<PathBuf> = OnceLock::new();

/// Makes the loop that the file `stall` of this folder names hang at its next tick. The file is removed first, or the next
/// process would hang, too.
pub fn watch_file_in(data_dir: &Path) {
    let _ = FILE.set(data_dir.join("stall")); // one data folder a process
}

/// Hangs for ever if this loop is named.
pub(super) fn hang_if_named(name: &str) {
    let Some(file) = FILE.get() else { return };
    let is_named = fs::read_to_string(file).is_ok_and(|named| named.trim() == name);
    if is_named && fs::remove_file(file).is_ok() {
        tracing::warn!(name, "hanging, as the file `stall` asks");
        loop {
            thread::park();
        }
    }
}
