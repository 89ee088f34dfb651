//! Identity of the file that a path names. A file that is open stays open after it was removed or renamed, and a write to
//! it then succeeds and is lost: code that promises that bytes are at a path compares the identities.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    time::SystemTime,
};

/// The identity of a file: two are equal only if they are of the same file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
    /// Birth time, which tells a file from a later one with the same inode number. Absent if the file system keeps
    /// none.
    created: Option<SystemTime>,
}

impl FileIdentity {
    /// Returns the identity of the file that this is the metadata of.
    pub fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino(), created: metadata.created().ok() }
    }

    /// Returns the identity of the file at `path`.
    ///
    /// # Errors
    /// It names no file, or the system does not answer.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(&fs::metadata(path)?))
    }

    /// Returns the identity of an open file.
    ///
    /// # Errors
    /// The system does not answer.
    pub fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::of(&file.metadata()?))
    }

    /// Checks that `path` names this file.
    ///
    /// # Errors
    /// It names no file or another one, or the system does not answer. The error names the path.
    pub fn check_at(self, path: &Path) -> io::Result<()> {
        let reason = match Self::at(path) {
            Ok(found) if found == self => return Ok(()),
            Ok(_) => "was replaced by another file while it was open".to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                "was removed or renamed while it was open".to_owned()
            }
            Err(error) => error.to_string(),
        };
        Err(io::Error::other(format!("{}: {reason}", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_known_by_its_path_until_the_path_is_removed_or_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = File::create(&path).unwrap();
        let identity = FileIdentity::of_file(&file).unwrap();
        identity.check_at(&path).unwrap();
        fs::write(&path, "more").unwrap();
        identity.check_at(&path).unwrap();

        let moved = folder.path().join("moved");
        fs::rename(&path, &moved).unwrap();
        identity.check_at(&moved).unwrap();
        let reason = || identity.check_at(&path).unwrap_err().to_string();
        assert_eq!(reason(), format!("{}: was removed or renamed while it was open", path.display()));
        fs::write(&path, "another").unwrap();
        assert_eq!(reason(), format!("{}: was replaced by another file while it was open", path.display()));
    }
}
