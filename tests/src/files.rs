//! The files that a process under test is given, laid out in its folder as the harness starts it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::wait::eventually;

/// Writes `manifest.yaml`, whole or not at all, as an editor or a kubelet replaces it.
pub fn write_manifest(folder: &Path, text: &str) {
    let new = folder.join("manifest.new");
    fs::write(&new, text).unwrap();
    fs::rename(new, folder.join("manifest.yaml")).unwrap();
}

/// Asks a process that can be made to hang for one of its loops, and waits until that one does.
pub async fn stall(data_dir: &Path, name: &str) {
    let file = data_dir.join("stall");
    fs::write(&file, name).unwrap();
    eventually(&format!("{name} hangs"), async || file.exists(), |asked| !asked).await;
}

/// Writes the file `secrets/<secret>/<key>` of a Secret.
pub fn write_secret(folder: &Path, secret: &str, key: &str, value: &str) {
    let secret = folder.join("secrets").join(secret);
    fs::create_dir_all(&secret).unwrap();
    fs::write(secret.join(key), value).unwrap();
}

/// A Secret as a kubelet mounts it: its files are links through `..data`, which leads to the folder of the latest version.
#[derive(Debug)]
pub struct Volume {
    folder: PathBuf,
    version: u32,
}

impl Volume {
    /// Makes a volume with these keys, without a version as yet.
    pub fn new(folder: PathBuf, keys: &[&str]) -> Self {
        fs::create_dir_all(&folder).unwrap();
        for key in keys {
            symlink(Path::new("..data").join(key), folder.join(key)).unwrap();
        }
        Self { folder, version: 0 }
    }

    /// Puts what is written into a new folder in the place of the last version, at one stroke.
    pub fn swap(&mut self, write: impl FnOnce(&Path)) {
        let last = self.folder.join(format!("..{}", self.version));
        self.version += 1;
        let next = format!("..{}", self.version);
        fs::create_dir(self.folder.join(&next)).unwrap();
        write(&self.folder.join(&next));
        symlink(&next, self.folder.join("..data_tmp")).unwrap();
        fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data")).unwrap();
        if self.version > 1 {
            fs::remove_dir_all(last).unwrap();
        }
    }
}

/// Returns every regular file below a folder, by its path from there.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => walk(&entry.path(), found),
                kind if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, &mut found);
    found.sort();
    found.iter().map(|path| path.strip_prefix(folder).unwrap().to_owned()).collect()
}

/// Copies every regular file below a folder.
pub fn copy_all(from: &Path, to: &Path) {
    for file in files_below(from) {
        let target = to.join(&file);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(from.join(&file), target).unwrap();
    }
}

/// Makes a folder in memory, if there is some to mount: for tests that do not depend on a sync.
pub fn folder_in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap()
}
