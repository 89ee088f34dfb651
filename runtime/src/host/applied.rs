//! The manifest that was applied last, kept in the data folder. A process that cannot read the manifest of a newer operator
//! runs this one.
//!
//! ```text
//! # applied manifest, sha256 <64 hexadecimal digits over all that follows this line>
//! apiVersion: visnyk.dev/v1alpha1
//! ...                                  the manifest, byte for byte as it was read
//! ```
//!
//! It is stored before the manifest is applied: so it is never older than what took effect, and a destination that the
//! latest configuration added is never taken for a removed one after a crash. It may be newer than what took effect; then
//! the next start applies it, as it would have done anyway.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::whole_file;

/// Name of the file in the data folder.
const NAME: &str = "applied.yaml";
/// Beginning of the first line.
const MARK: &str = "# applied manifest, sha256 ";
/// Maximum size of the file in bytes. An API server stores objects of up to 1.5 MiB.
const MAX_BYTES: u64 = 4 << 20;

/// The manifest that was applied last.
#[derive(Clone, Debug)]
pub struct AppliedManifest {
    path: PathBuf,
}

/// Reason why the manifest that was applied last cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AppliedError {
    /// No manifest of an operator was applied with this data folder.
    #[error("{} does not exist: no manifest was applied here before", .0.display())]
    None(PathBuf),
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is not as it was written.
    #[error("{} is damaged: its checksum is wrong", .0.display())]
    Damaged(PathBuf),
}

impl AppliedManifest {
    /// Names the one in a data folder.
    pub fn in_folder(data_dir: &Path) -> Self {
        Self { path: data_dir.join(NAME) }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the manifest.
    ///
    /// # Errors
    /// It does not exist, cannot be read or is damaged.
    pub fn read(&self) -> Result<String, AppliedError> {
        let mut whole = String::new();
        let read = File::open(&self.path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut whole));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(AppliedError::None(self.path.clone()));
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(AppliedError::Damaged(self.path.clone()));
            }
            Err(source) => return Err(AppliedError::Unreadable { path: self.path.clone(), source }),
        }
        let manifest = whole.split_once('\n').map(|(_, manifest)| manifest).unwrap_or_default();
        if whole != with_checksum(manifest) {
            return Err(AppliedError::Damaged(self.path.clone()));
        }
        Ok(manifest.to_owned())
    }

    /// Stores a manifest, whole or not at all, with mode 0600, and syncs it. Writes nothing if it is stored already.
    ///
    /// # Errors
    /// The cause why it cannot be written or synced; the one before it stays.
    pub fn store(&self, manifest: &str) -> io::Result<()> {
        if self.read().is_ok_and(|stored| stored == manifest) {
            return Ok(());
        }
        whole_file::write(&self.path, &with_checksum(manifest), 0o600)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

fn with_checksum(manifest: &str) -> String {
    format!("{MARK}{:x}\n{manifest}", Sha256::digest(manifest))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn stored_manifest_is_read_and_a_flipped_bit_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let applied = AppliedManifest::in_folder(folder.path());
        assert!(matches!(applied.read(), Err(AppliedError::None(_))));
        applied.store("kind: A\n").unwrap();
        // Left by a crash in the midst of a write.
        fs::write(folder.path().join("applied.new"), "# applied").unwrap();
        applied.store("kind: B\n").unwrap();
        assert_eq!(applied.read().unwrap(), "kind: B\n");
        assert_eq!(fs::metadata(applied.path()).unwrap().permissions().mode() & 0o777, 0o600);

        let bytes = fs::read(applied.path()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut turned = bytes.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            fs::write(applied.path(), turned).unwrap();
            assert!(matches!(applied.read(), Err(AppliedError::Damaged(_))), "bit {bit}");
        }
        fs::write(applied.path(), "").unwrap();
        assert!(matches!(applied.read(), Err(AppliedError::Damaged(_))));
    }

    #[test]
    fn manifest_that_is_stored_already_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let applied = AppliedManifest::in_folder(folder.path());
        applied.store("kind: A\n").unwrap();
        let written = fs::metadata(applied.path()).unwrap().modified().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
        applied.store("kind: A\n").unwrap();
        assert_eq!(fs::metadata(applied.path()).unwrap().modified().unwrap(), written);
    }
}
