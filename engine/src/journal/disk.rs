//! The only way the journal touches files. Tests put another [`Disk`] in its place, to fail, to fill up
//! and to lose power.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use visnyk_runtime::host::file_identity::FileIdentity;

/// The mode of every file: it holds events, which are its user's alone.
const PRIVATE: u32 = 0o600;

/// One folder of files.
pub trait Disk: Send + Sync {
    /// Lists the names of all files in the folder, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens a file that is there, to read and write.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Creates a file that is not there. It may be gone after a power cut until [`Disk::sync_dir`].
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Removes a file. It may be back after a power cut until [`Disk::sync_dir`].
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes what was created and removed outlast a power cut.
    fn sync_dir(&self) -> io::Result<()>;
    /// Returns the number of bytes that may still be written to new files.
    fn available_space(&self) -> io::Result<u64>;
}

/// Read and write access to one open file.
pub trait DiskFile: Send + Sync {
    /// Fills `buffer` from `offset` on, as far as the file goes. Returns the number of bytes read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all bytes at `offset`; after an error any of them may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Writes zeroes over the first `size` bytes; after an error any of them may have been written.
    fn write_zeroes(&self, size: u64) -> io::Result<()> {
        write_in_chunks(size, &vec![0; CHUNK], |zeroes, at| self.write_all_at(zeroes, at))
    }
    /// Makes the written bytes outlast a power cut. After an error it is not known which of them will. Fails, too, if
    /// the file was removed or renamed: its bytes would not be found at the next start.
    fn sync_data(&self) -> io::Result<()>;
    /// Returns the number of bytes in the file.
    fn len(&self) -> io::Result<u64>;
    /// Returns whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Bytes of zeroes that are written at once.
const CHUNK: usize = 1 << 20;
/// Alignment in memory that direct writes need at most.
const PAGE: usize = 4096;

/// Calls `write` with parts of `zeroes` and their offsets, until `size` bytes are written.
fn write_in_chunks(size: u64, zeroes: &[u8], write: impl Fn(&[u8], u64) -> io::Result<()>) -> io::Result<()> {
    let mut at = 0;
    while at < size {
        let count = usize::try_from(size - at).map_or(zeroes.len(), |left| left.min(zeroes.len()));
        write(&zeroes[..count], at)?;
        at += count as u64;
    }
    Ok(())
}

/// A folder of the file system.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Opens the folder at `path`, and creates it and its parents if it is not there.
    pub fn open(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Ok(Self { path: path.to_owned() })
    }
}

impl Disk for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        // A name that is not text is not one of ours.
        let names = std::fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.path.join(name);
        Ok(Arc::new(NamedFile::new(OpenOptions::new().read(true).write(true).open(&path)?, path)?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.path.join(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(PRIVATE).open(&path)?;
        Ok(Arc::new(NamedFile::new(file, path)?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn available_space(&self) -> io::Result<u64> {
        let file_system = rustix::fs::statvfs(&self.path)?;
        Ok(file_system.f_bavail.saturating_mul(file_system.f_frsize))
    }
}

/// An open file, and the path that is to name it.
#[derive(Debug)]
struct NamedFile {
    file: File,
    identity: FileIdentity,
    path: PathBuf,
}

impl NamedFile {
    fn new(file: File, path: PathBuf) -> io::Result<Self> {
        let metadata = file.metadata()?;
        // Made by a version that left it open to others. On a volume of another user that cannot be mended.
        if metadata.permissions().mode() & 0o777 != PRIVATE {
            let _ = file.set_permissions(Permissions::from_mode(PRIVATE));
        }
        Ok(Self { identity: FileIdentity::of(&metadata), file, path })
    }
}

impl DiskFile for NamedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    /// Past the page cache where the file system can: to copy zeroes there, and from there to the disk, costs processor
    /// time while events are accepted.
    fn write_zeroes(&self, size: u64) -> io::Result<()> {
        let buffer = vec![0; CHUNK + PAGE];
        let aligned = buffer.as_ptr().align_offset(PAGE).min(PAGE);
        let zeroes = &buffer[aligned..aligned + CHUNK];
        let direct = OFlags::DIRECT.bits().cast_signed();
        let directly = OpenOptions::new().write(true).custom_flags(direct).open(&self.path);
        let written =
            directly.and_then(|file| write_in_chunks(size, zeroes, |part, at| file.write_all_at(part, at)));
        match written {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                write_in_chunks(size, zeroes, |part, at| self.file.write_all_at(part, at))
            }
            other => other,
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()?;
        self.identity.check_at(&self.path)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::journal::{Entry, Log, Options};

    fn open(folder: &Path) -> Log {
        let options = Options { segment_size: 16 << 10, max_size: 128 << 10, min_next_seq: 1 };
        Log::open(Arc::new(Folder::open(folder).unwrap()), &options).unwrap().0
    }

    #[test]
    fn record_is_accepted_only_in_a_segment_file_that_still_has_its_name() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("journal");
        let mut log = open(&folder);
        assert_eq!(log.append_batch(&[Bytes::from("lost with its file")]).accepted, 1);
        for entry in std::fs::read_dir(&folder).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        assert_eq!(log.append_batch(&[Bytes::from("kept")]).accepted, 1);
        drop(log);
        let reader = open(&folder).view().reader(0);
        let records: Vec<Bytes> = entries(reader);
        assert_eq!(records, [Bytes::from("kept")]);
    }

    #[test]
    fn record_is_refused_while_the_folder_of_the_journal_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("journal");
        let mut log = open(&folder);
        assert_eq!(log.append_batch(&[Bytes::from("moved")]).accepted, 1);
        std::fs::rename(&folder, root.path().join("elsewhere")).unwrap();
        assert_eq!(log.append_batch(&[Bytes::from("refused")]).accepted, 0);
        std::fs::rename(root.path().join("elsewhere"), &folder).unwrap();
        log.probe();
        assert_eq!(log.append_batch(&[Bytes::from("accepted")]).accepted, 1);
        drop(log);
        assert_eq!(entries(open(&folder).view().reader(0)).last().unwrap(), "accepted");
    }

    #[test]
    fn segment_files_are_this_users_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        let disk = Folder::open(root.path()).unwrap();
        let mode = || path.metadata().unwrap().permissions().mode() & 0o777;
        drop(disk.create("file").unwrap());
        assert_eq!(mode(), 0o600);
        // Made by a version that left it open to others.
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        drop(disk.open("file").unwrap());
        assert_eq!(mode(), 0o600);
    }

    fn entries(mut reader: crate::journal::Reader) -> Vec<Bytes> {
        let mut records = Vec::new();
        while let Some(entry) = reader.next().unwrap() {
            if let Entry::Record { bytes, .. } = entry {
                records.push(bytes);
            }
        }
        records
    }
}
