//! The files that a process under test is given, laid out in its folder as the harness starts it.

use std::{fs, path::Path};

/// Writes `manifest.yaml`, whole or not at all, as an editor or a kubelet replaces it.
pub fn write_manifest(folder: &Path, text: &str) {
    let new = folder.join("manifest.new");
    fs::write(&new, text).unwrap();
    fs::rename(new, folder.join("manifest.yaml")).unwrap();
}

/// Writes `secrets/<secret>/<key>`.
pub fn write_secret(folder: &Path, secret: &str, key: &str, value: &str) {
    let secret = folder.join("secrets").join(secret);
    fs::create_dir_all(&secret).unwrap();
    fs::write(secret.join(key), value).unwrap();
}
