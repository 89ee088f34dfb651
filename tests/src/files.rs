//! The files that a process under test is given, laid out in its folder as the harness starts it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crate::patience::eventually;

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

/// Writes `secrets/<secret>/<key>`.
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
    /// Of these keys, without a version as yet.
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
