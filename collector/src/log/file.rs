//! The log file of [`super`]: appends whole lines, closes a torn one, begins a new file when one is full.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tracing::warn;
use visnyk_crds::valid::Rotate;
use visnyk_runtime::host::file_identity::FileIdentity;

use super::storage::{Extent, Handle, Storage};

/// Location of the log, and its rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLocation {
    /// The folder that exists and that the log's own path is relative to.
    pub data_dir: PathBuf,
    /// `log.path` of the manifest.
    pub path: PathBuf,
    /// `log.rotate` of the manifest.
    pub rotate: Option<Rotate>,
}

impl LogLocation {
    fn file(&self) -> PathBuf {
        self.data_dir.join(&self.path)
    }

    fn closed(&self, number: u32) -> PathBuf {
        closed(&self.file(), number)
    }

    /// Checks that the disk takes data again: writes, syncs and removes a small file beside the log.
    pub fn probe(&self, storage: &impl Storage) -> io::Result<()> {
        let mut path = self.file().into_os_string();
        path.push(".probe");
        let written = storage.open(Path::new(&path)).and_then(|(mut handle, _)| {
            handle.append(&vec![0; PROBE_BYTES])?;
            handle.sync()
        });
        let removed = fs::remove_file(&path);
        written.and(removed)
    }
}

/// Returns the path of a closed file of the log at `log`: `webhook.log.1` and so on, 1 is the youngest.
pub fn closed(log: &Path, number: u32) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Size that is large enough to mean room for some events, and small enough to cost nothing.
const PROBE_BYTES: usize = 64 << 10;
/// Maximum number of writes of lines whose file was removed meanwhile. A program that removes it each time would
/// otherwise keep the senders waiting for ever.
const MAX_WRITES: usize = 4;

/// An open log. After any error it must be dropped and opened anew with what [`LogFile::durable`] says.
pub struct LogFile<S: Storage> {
    storage: S,
    location: LogLocation,
    handle: S::Handle,
    file: FileIdentity,
    len: u64,
}

impl<S: Storage> LogFile<S> {
    /// Opens the log, creating it and its folders.
    ///
    /// `durable`: the file and length that this process knows to be synced. Bytes beyond were refused and are cut
    /// off, unless another file has taken that one's place. Without it (a fresh start) nothing is cut; a last line
    /// without its newline is closed, so that the next one does not continue it.
    pub fn open(storage: S, location: LogLocation, durable: Option<Extent>) -> io::Result<Self> {
        let file = location.file();
        let folders: Vec<&Path> =
            file.ancestors().skip(1).take_while(|folder| folder.starts_with(&location.data_dir)).collect();
        if let Some(folder) = folders.first() {
            fs::create_dir_all(folder)?;
        }
        let (mut handle, Extent { file: identity, mut len }) = storage.open(&file)?;
        for folder in folders {
            storage.sync_dir(folder)?;
        }
        if let Some(durable) = durable.filter(|durable| durable.file == identity && durable.len < len) {
            handle.truncate(durable.len)?;
            len = durable.len;
        }
        if handle.last_byte()?.is_some_and(|last| last != b'\n') {
            handle.append(b"\n")?;
            handle.sync()?;
            len += 1;
        }
        Ok(Self { storage, location, handle, file: identity, len })
    }

    /// Returns the file and length that are known to be synced.
    pub fn durable(&self) -> Extent {
        Extent { file: self.file, len: self.len }
    }

    /// Returns the location of the log.
    pub fn location(&self) -> &LogLocation {
        &self.location
    }

    /// Appends the first of these lines, as many as belong into one file, and syncs them.
    /// Returns how many: at least one, unless there was none.
    ///
    /// # Guarantees
    /// The lines are in the file that the log's path named after the sync. Another program that removes, renames or
    /// truncates the file between two calls costs none of them; while they are written, it may repeat them.
    pub fn append<L: AsRef<[u8]>>(&mut self, lines: &[L]) -> io::Result<usize> {
        if lines.is_empty() {
            return Ok(0);
        }
        if Extent::at(&self.location.file())? != Some(self.durable()) {
            self.reopen()?;
        }
        for _ in 0..MAX_WRITES {
            let count = self.write_some(lines)?;
            // A longer file has been written to by another program: ours are in it all the same.
            match Extent::at(&self.location.file())? {
                Some(found) if found.file == self.file && found.len >= self.len => return Ok(count),
                _ => self.reopen()?,
            }
        }
        Err(io::Error::other("another program removes or truncates the log again and again"))
    }

    /// Continues in the file that is now at the log's path, and creates it where it is missing.
    fn reopen(&mut self) -> io::Result<()> {
        let file = self.location.file();
        warn!(file = %file.display(), "another program removed, replaced or changed the log: opening it anew");
        *self = Self::open(self.storage.clone(), self.location.clone(), None)?;
        Ok(())
    }

    /// Appends and syncs as many of the lines as belong into one file, at least one. Returns how many.
    fn write_some<L: AsRef<[u8]>>(&mut self, lines: &[L]) -> io::Result<usize> {
        let Some(first) = lines.first() else { return Ok(0) };
        if !self.fits(self.len, first.as_ref()) {
            self.rotate()?;
        }
        let mut bytes = Vec::new();
        let mut count = 0;
        for line in lines {
            let line = line.as_ref();
            if !self.fits(self.len + bytes.len() as u64, line) {
                break;
            }
            bytes.extend_from_slice(line);
            count += 1;
        }
        self.handle.append(&bytes)?;
        self.handle.sync()?;
        self.len += bytes.len() as u64;
        Ok(count)
    }

    /// Returns whether a line fits into a file of `len` bytes. An empty file takes any line.
    fn fits(&self, len: u64, line: &[u8]) -> bool {
        match self.location.rotate {
            Some(rotate) => len == 0 || len + line.len() as u64 <= rotate.size,
            None => true,
        }
    }

    /// Closes the file as number 1 and begins an empty one.
    ///
    /// The numbers shift only up to the first gap, which a crash in the middle of an earlier rotation
    /// may have left: only a file that `keep` has no room for is ever lost.
    fn rotate(&mut self) -> io::Result<()> {
        let keep = self.location.rotate.map_or(0, |rotate| rotate.keep);
        let last = (1..=keep).find(|&number| !self.location.closed(number).exists()).unwrap_or(keep);
        for number in (1..last).rev() {
            fs::rename(self.location.closed(number), self.location.closed(number + 1))?;
        }
        let file = self.location.file();
        fs::rename(&file, self.location.closed(1))?;
        self.len = 0;
        for number in (keep + 1..).take_while(|&number| self.location.closed(number).exists()) {
            fs::remove_file(self.location.closed(number))?;
        }
        let (handle, extent) = self.storage.open(&file)?;
        if let Some(folder) = file.parent() {
            self.storage.sync_dir(folder)?;
        }
        (self.handle, self.file, self.len) = (handle, extent.file, extent.len);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
