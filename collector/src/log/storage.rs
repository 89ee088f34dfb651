//! The file operations of the log, so that tests can make a write or a sync fail.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use visnyk_runtime::host::file_identity::FileIdentity;

/// A file system, as far as the log needs one.
pub trait Storage: Clone + Send + 'static {
    /// A file that is open at its end.
    type Handle: Handle;

    /// Opens `path` for appending, creates it where it is missing, and returns the file's identity and length.
    fn open(&self, path: &Path) -> io::Result<(Self::Handle, Extent)>;

    /// Makes names created, renamed or removed in this folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// A file and the length that is used of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Identity of the file.
    pub file: FileIdentity,
    /// Length of the file in bytes.
    pub len: u64,
}

impl Extent {
    /// Returns the extent of the file at `path`, or none if there is no file.
    pub fn at(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(found) => Ok(Some(Self::of(&found))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn of(metadata: &Metadata) -> Self {
        Self { file: FileIdentity::of(metadata), len: metadata.len() }
    }
}

/// A file that is open at its end.
pub trait Handle: Send {
    /// Appends all of it, or fails with any part of it written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once everything appended is on the disk. After a failure nothing is known about what was
    /// appended since the last success, and asking this handle again would tell a lie (the kernel
    /// reports a lost page once).
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file back to `len` bytes.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
    /// Returns the last byte, if there is one.
    fn last_byte(&mut self) -> io::Result<Option<u8>>;
}

/// The real file system.
#[derive(Clone, Copy)]
pub struct Files;

impl Storage for Files {
    type Handle = File;

    fn open(&self, path: &Path) -> io::Result<(File, Extent)> {
        let file = File::options().read(true).append(true).create(true).open(path)?;
        let extent = Extent::of(&file.metadata()?);
        Ok((file, extent))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }
}

impl Handle for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn last_byte(&mut self) -> io::Result<Option<u8>> {
        if self.metadata()?.len() == 0 {
            return Ok(None);
        }
        self.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        self.read_exact(&mut last)?;
        Ok(Some(last[0]))
    }
}
