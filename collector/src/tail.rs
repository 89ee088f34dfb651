//! The end of the log, for `kubectl exec`: the image has neither a shell nor a `tail`.

use std::fs::File;
use std::io::{Read, Result, Seek, SeekFrom};
use std::path::Path;

/// What is read first; twice as much while that holds too few lines.
const CHUNK: u64 = 64 * 1024;

/// The last `count` lines of a file that may be long. A last line without its end counts as one.
pub fn last_lines(path: &Path, count: usize) -> Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut chunk = CHUNK;
    loop {
        let begin = length.saturating_sub(chunk);
        file.seek(SeekFrom::Start(begin))?;
        let mut end = Vec::new();
        // What is appended meanwhile belongs to the next call.
        file.by_ref().take(length - begin).read_to_end(&mut end)?;
        if let Some(start) = start_of_last(&end, count) {
            return Ok(end.split_off(start));
        }
        if begin == 0 {
            return Ok(end);
        }
        chunk = chunk.saturating_mul(2);
    }
}

/// Where the last `count` lines begin, if a line before them ends here.
fn start_of_last(text: &[u8], count: usize) -> Option<usize> {
    let closed = text.strip_suffix(b"\n").unwrap_or(text);
    if count == 0 {
        return Some(text.len());
    }
    let ends = closed.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    ends.map(|(place, _)| place + 1).nth(count - 1)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn tail(content: &str, count: usize) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        String::from_utf8(last_lines(file.path(), count).unwrap()).unwrap()
    }

    #[test]
    fn last_lines_are_whole_whatever_their_length() {
        assert_eq!(tail("", 3), "");
        assert_eq!(tail("one\n", 3), "one\n");
        assert_eq!(tail("one\ntwo\nthree\n", 2), "two\nthree\n");
        assert_eq!(tail("one\ntwo\nthr", 2), "two\nthr");
        assert_eq!(tail("one\n\n\n", 2), "\n\n");
        assert_eq!(tail("one\n", 0), "");
        let long = "x".repeat(3 * usize::try_from(CHUNK).unwrap());
        assert_eq!(tail(&format!("one\n{long}\nthree\n"), 2), format!("{long}\nthree\n"));
        let mut many = String::new();
        for number in 0..50_000 {
            writeln!(many, "{number}").unwrap();
        }
        assert_eq!(tail(&many, 2), "49998\n49999\n");
        assert_eq!(tail(&many, 60_000), many);
    }
}
