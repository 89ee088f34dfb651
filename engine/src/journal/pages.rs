//! Reads around what the disk does not give. A page that cannot be read fails the whole read, for it may be back
//! in a moment; only a page that was given up, after several tries, reads as zeroes. Which records that costs the
//! checksums tell: exactly those that have bytes in it.

use std::collections::BTreeSet;
use std::io;
use std::thread;
use std::time::Duration;

use super::disk::DiskFile;

/// Bytes that are read, or are not, together.
const PAGE: usize = 4096;
/// Tries of a page before it is given up.
pub const TRIES: u32 = 5;
/// The wait between two tries where a thread can wait: at a start.
const AGAIN_AFTER: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 100 });

/// The pages of one file that cannot be read.
#[derive(Debug, Default)]
pub(super) struct Pages {
    given_up: BTreeSet<u64>,
    /// The pages at which the last read failed.
    failed: Vec<u64>,
}

impl Pages {
    /// Fills `buffer` from `offset` on, as far as the file goes. Returns the number of bytes read.
    ///
    /// # Errors
    /// A page that was not given up cannot be read.
    pub(super) fn read(&mut self, file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(buffer, offset).or_else(|error| self.read_around(file, buffer, offset, error))
    }

    fn read_around(
        &mut self,
        file: &dyn DiskFile,
        buffer: &mut [u8],
        offset: u64,
        mut error: io::Error,
    ) -> io::Result<usize> {
        self.failed.clear();
        let mut filled = 0;
        while filled < buffer.len() {
            let at = offset + filled as u64;
            let within = usize::try_from(at % PAGE as u64).unwrap_or(0);
            let len = (PAGE - within).min(buffer.len() - filled);
            let part = &mut buffer[filled..filled + len];
            match file.read_at(part, at) {
                Ok(count) if count < len => {
                    filled += count;
                    break;
                }
                Ok(_) => {}
                Err(_) if self.given_up.contains(&page(at)) => part.fill(0),
                Err(failed) => {
                    self.failed.push(page(at));
                    error = failed;
                }
            }
            filled += len;
        }
        if self.failed.is_empty() { Ok(filled) } else { Err(error) }
    }

    /// Gives up the pages that the last read failed at, unless the file cannot be read at all: then it is the
    /// disk that is not there, and it may be back. Whether it gave up any.
    pub(super) fn give_up(&mut self, file: &dyn DiskFile) -> bool {
        let mut start = [0; PAGE];
        let is_readable = [0, PAGE as u64].into_iter().any(|at| file.read_at(&mut start, at).is_ok());
        if !is_readable || self.failed.is_empty() {
            return false;
        }
        self.given_up.extend(self.failed.drain(..));
        true
    }

    /// Returns whether any page was given up.
    pub(super) fn are_lacking(&self) -> bool {
        !self.given_up.is_empty()
    }

    /// Returns whether any of these bytes was given up.
    pub(super) fn lack(&self, offset: u64, len: u64) -> bool {
        len > 0 && self.given_up.range(page(offset)..=page(offset + len - 1)).next().is_some()
    }
}

/// Writes what can be read of `from..to` once more as it is.
pub(crate) fn write_again(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<()> {
    let mut bytes = vec![0; usize::try_from(to - from).map_err(io::Error::other)?];
    if let Ok(count) = file.read_at(&mut bytes, from) {
        return file.write_all_at(&bytes[..count], from);
    }
    let mut at = from;
    while at < to {
        let end = (at / PAGE as u64 + 1) * PAGE as u64;
        bytes.resize(usize::try_from(end.min(to) - at).map_err(io::Error::other)?, 0);
        if let Ok(count) = file.read_at(&mut bytes, at) {
            file.write_all_at(&bytes[..count], at)?;
        }
        at = end;
    }
    Ok(())
}

/// Tries again and again what reads, and then gives up what cannot be read.
pub(super) fn insist<T, R, E>(
    reads: &mut R,
    read: impl Fn(&mut R) -> Result<T, E>,
    give_up: impl Fn(&mut R) -> bool,
) -> Result<T, E> {
    let mut tries = 0;
    loop {
        match read(reads) {
            Err(_) if tries + 1 < TRIES => thread::sleep(AGAIN_AFTER),
            Err(error) if !give_up(reads) => return Err(error),
            Err(_) => tries = 0,
            Ok(done) => return Ok(done),
        }
        tries += 1;
    }
}

fn page(offset: u64) -> u64 {
    offset / PAGE as u64
}
