//! The log file of [`super`]: appends whole lines, closes a torn one, begins a new file when one is full.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use visnyk_crds::valid::Rotate;

use super::storage::{Handle, Storage};

/// Where the log is and when a new file is begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder that exists and that the log's own path is relative to.
    pub data_dir: PathBuf,
    /// `log.path` of the manifest.
    pub path: PathBuf,
    /// `log.rotate` of the manifest.
    pub rotate: Option<Rotate>,
}

impl Place {
    fn file(&self) -> PathBuf {
        self.data_dir.join(&self.path)
    }

    /// `webhook.log.1` and so on: 1 is the youngest.
    fn closed(&self, number: u32) -> PathBuf {
        let mut name = self.file().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    /// Whether the disk takes data again: writes, syncs and removes a small file beside the log.
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

/// Large enough that success means room for some events, small enough to cost nothing.
const PROBE_BYTES: usize = 64 << 10;

/// An open log. After any error it must be dropped and opened anew with what [`LogFile::durable`] says.
pub struct LogFile<S: Storage> {
    storage: S,
    place: Place,
    handle: S::Handle,
    len: u64,
}

impl<S: Storage> LogFile<S> {
    /// Opens the log, creating it and its folders.
    ///
    /// `durable`: how much of the file this process knows to be synced. What lies beyond was refused,
    /// and is cut off. Without it (a fresh start) nothing is cut; a last line without its newline
    /// is closed, so that the next one does not continue it.
    pub fn open(storage: S, place: Place, durable: Option<u64>) -> io::Result<Self> {
        let file = place.file();
        let folders: Vec<&Path> =
            file.ancestors().skip(1).take_while(|folder| folder.starts_with(&place.data_dir)).collect();
        if let Some(folder) = folders.first() {
            fs::create_dir_all(folder)?;
        }
        let (mut handle, mut len) = storage.open(&file)?;
        for folder in folders {
            storage.sync_dir(folder)?;
        }
        if let Some(durable) = durable.filter(|&durable| durable < len) {
            handle.truncate(durable)?;
            len = durable;
        }
        if handle.last_byte()?.is_some_and(|last| last != b'\n') {
            handle.append(b"\n")?;
            handle.sync()?;
            len += 1;
        }
        Ok(Self { storage, place, handle, len })
    }

    /// How many bytes of the file are known to be synced.
    pub fn durable(&self) -> u64 {
        self.len
    }

    /// Where the log is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Appends the first of these lines, as many as belong into one file, and syncs them.
    /// Returns how many: at least one, unless there was none.
    pub fn append<L: AsRef<[u8]>>(&mut self, lines: &[L]) -> io::Result<usize> {
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

    /// Whether a line belongs into a file that has `len` bytes. An empty file takes any line.
    fn fits(&self, len: u64, line: &[u8]) -> bool {
        match self.place.rotate {
            Some(rotate) => len == 0 || len + line.len() as u64 <= rotate.size,
            None => true,
        }
    }

    /// Closes the file as number 1 and begins an empty one.
    ///
    /// The numbers shift only up to the first gap, which a crash in the middle of an earlier rotation
    /// may have left: only a file that `keep` has no room for is ever lost.
    fn rotate(&mut self) -> io::Result<()> {
        let keep = self.place.rotate.map_or(0, |rotate| rotate.keep);
        let last = (1..=keep).find(|&number| !self.place.closed(number).exists()).unwrap_or(keep);
        for number in (1..last).rev() {
            fs::rename(self.place.closed(number), self.place.closed(number + 1))?;
        }
        let file = self.place.file();
        fs::rename(&file, self.place.closed(1))?;
        self.len = 0;
        for number in (keep + 1..).take_while(|&number| self.place.closed(number).exists()) {
            fs::remove_file(self.place.closed(number))?;
        }
        let (handle, len) = self.storage.open(&file)?;
        if let Some(folder) = file.parent() {
            self.storage.sync_dir(folder)?;
        }
        (self.handle, self.len) = (handle, len);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
