//! Prints the end of the log, for images in which there is no `tail`.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use visnyk_runtime::host::file_identity::FileIdentity;

use crate::log::file::closed;

/// Amount of the log to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The lines that the file has now.
    Now,
    /// The present lines and all that are added, in the next files too when the log is rotated.
    Stopped,
}

/// The log cannot be printed.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Path of the log file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The output is closed.
    #[error("lines cannot be printed")]
    Print(#[source] io::Error),
}

/// Interval of checks for new lines.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// Prints the last `lines` lines of a log to `out`.
pub fn tail(path: &Path, lines: usize, until: Until, out: &mut impl Write) -> Result<(), TailError> {
    let read = |source| TailError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(read)?;
    let mut seen = known_files(path, &file).map_err(read)?;
    let start = start_of_last(&mut file, lines).map_err(read)?;
    file.seek(SeekFrom::Start(start)).map_err(read)?;
    loop {
        copy(&mut file, path, out)?;
        if until == Until::Now {
            return Ok(());
        }
        thread::sleep(POLL_INTERVAL);
        for next in new_files(path, &mut seen) {
            // What came before the rotation comes first.
            copy(&mut file, path, out)?;
            file = next;
        }
        if is_cut(&mut file).map_err(read)? {
            file.rewind().map_err(read)?;
        }
    }
}

fn copy(file: &mut File, path: &Path, out: &mut impl Write) -> Result<(), TailError> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length =
            file.read(&mut chunk).map_err(|source| TailError::Read { path: path.to_owned(), source })?;
        if length == 0 {
            return out.flush().map_err(TailError::Print);
        }
        out.write_all(&chunk[..length]).map_err(TailError::Print)?;
    }
}

/// Returns the start of the last `lines` lines. A last line without its newline is one.
fn start_of_last(file: &mut File, lines: usize) -> io::Result<u64> {
    let mut position = file.seek(SeekFrom::End(0))?;
    let end = position;
    if lines == 0 {
        return Ok(end);
    }
    let mut newlines = 0;
    while position > 0 {
        let start = position.saturating_sub(CHUNK as u64);
        let mut chunk = vec![0; usize::try_from(position - start).unwrap_or_default()];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut chunk)?;
        for (index, _) in chunk.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = start + index as u64 + 1;
            // The newline at the very end ends the last line and begins none.
            if after == end {
                continue;
            }
            newlines += 1;
            if newlines == lines {
                return Ok(after);
            }
        }
        position = start;
    }
    Ok(0)
}

/// Returns whether the file has become shorter than the part that was read.
fn is_cut(file: &mut File) -> io::Result<bool> {
    Ok(file.metadata()?.len() < file.stream_position()?)
}

/// Returns the log at `path` and its closed files, youngest first. One number may be missing: a rotation renames one
/// file after the other. Each is listed at least once even if a rotation runs meanwhile, because that only raises
/// their numbers.
fn files(path: &Path) -> impl Iterator<Item = File> {
    let mut missing = 0;
    let names = std::iter::once(path.to_owned()).chain((1..).map(|number| closed(path, number)));
    names
        .map(|name| File::open(name).ok())
        .take_while(move |file| {
            missing = if file.is_some() { 0 } else { missing + 1 };
            missing < 2
        })
        .flatten()
}

/// Returns the files that need not be printed: the one that is printed, and those closed before it.
fn known_files(path: &Path, current: &File) -> io::Result<HashSet<FileIdentity>> {
    let mut known =
        files(path).map(|file| FileIdentity::of_file(&file)).collect::<io::Result<HashSet<_>>>()?;
    known.insert(FileIdentity::of_file(current)?);
    Ok(known)
}

/// Returns the files that were begun since the last call, oldest first.
fn new_files(path: &Path, seen: &mut HashSet<FileIdentity>) -> Vec<File> {
    let mut new = Vec::new();
    for file in files(path) {
        let Ok(identity) = FileIdentity::of_file(&file) else { continue };
        if seen.contains(&identity) {
            // Those with higher numbers are older.
            break;
        }
        new.push((identity, file));
    }
    // A file that was renamed between two looks at it is there twice.
    new.retain(|(identity, _)| seen.insert(*identity));
    new.reverse();
    new.into_iter().map(|(_, file)| file).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::mpsc};

    use super::*;

    fn last(text: &str, lines: usize) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("webhook.log");
        fs::write(&path, text).unwrap();
        let mut out = Vec::new();
        tail(&path, lines, Until::Now, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn last_lines_are_printed_whole() {
        assert_eq!(last("one\ntwo\nthree\n", 2), "two\nthree\n");
        assert_eq!(last("one\ntwo\nthree\n", 3), "one\ntwo\nthree\n");
        assert_eq!(last("one\ntwo\nthree\n", 9), "one\ntwo\nthree\n");
        assert_eq!(last("one\ntwo\nthree\n", 0), "");
        assert_eq!(last("one\ntwo\ntorn", 2), "two\ntorn");
        assert_eq!(last("\n\n\n", 2), "\n\n");
        assert_eq!(last("", 2), "");
    }

    #[test]
    fn lines_longer_than_what_is_read_at_once_are_whole_too() {
        let long = "x".repeat(3 * CHUNK) + "\n";
        assert_eq!(last(&format!("one\n{long}two\n"), 2), format!("{long}two\n"));
        assert_eq!(last(&long.repeat(3), 2), long.repeat(2));
    }

    #[test]
    fn missing_log_is_named() {
        let error = tail(Path::new("/nonexistent/webhook.log"), 1, Until::Now, &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "/nonexistent/webhook.log cannot be read");
    }

    /// A writer that passes on what is printed, and ends the following when its receiver is gone.
    struct Printed(mpsc::Sender<Vec<u8>>);

    impl Write for Printed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.write(b"").map(drop)
        }
    }

    #[test]
    fn followed_log_is_printed_over_rotations_however_close() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("webhook.log");
        fs::write(&path, "one\ntwo\n").unwrap();
        let (sender, printed) = mpsc::channel();
        let following = thread::spawn({
            let path = path.clone();
            move || tail(&path, 1, Until::Stopped, &mut Printed(sender))
        });
        let mut all = String::new();
        let mut until = |expected: &str| {
            while all != expected {
                let more = printed.recv_timeout(Duration::from_secs(10));
                all += str::from_utf8(&more.unwrap_or_else(|_| panic!("only {all:?}"))).unwrap();
            }
        };
        until("two\n");
        let append = |text: &str| {
            let mut file = File::options().append(true).create(true).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        append("three\n");
        until("two\nthree\n");
        append("four\n");
        fs::rename(&path, folder.path().join("webhook.log.1")).unwrap();
        append("five\n");
        until("two\nthree\nfour\nfive\n");
        // As many rotations as fit between two looks.
        for text in ["six\n", "seven\n", "eight\n"] {
            for number in (1..5).rev().filter(|&number| closed(&path, number).exists()) {
                fs::rename(closed(&path, number), closed(&path, number + 1)).unwrap();
            }
            fs::rename(&path, closed(&path, 1)).unwrap();
            append(text);
        }
        until("two\nthree\nfour\nfive\nsix\nseven\neight\n");
        // Shorter than what was read of it.
        fs::write(&path, "9\n").unwrap();
        until("two\nthree\nfour\nfive\nsix\nseven\neight\n9\n");
        drop(printed);
        assert!(matches!(following.join().unwrap(), Err(TailError::Print(_))));
    }
}
