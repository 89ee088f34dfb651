//! Files that are there whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a file with this mode, syncs it, and puts it in the place of one that is there. Its folder is not synced: a
/// power cut may bring back the one before it until the caller has done so.
///
/// # Errors
/// It cannot be written or synced; one that was there stays.
pub fn write(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    let new = path.with_extension("new");
    // One left by a crash may have another mode.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}
