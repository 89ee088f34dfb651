//! Files as the kubelet writes them.

use std::path::Path;

/// Puts files into a folder as the kubelet does: a new folder, and the link `..data` swapped to it.
pub(crate) fn kubelet_writes(mount: &Path, revision: u32, files: &[(&str, &str)]) {
    use std::{fs, os::unix::fs::symlink};
    let version = format!("..v{revision}");
    for (path, content) in files {
        let file = mount.join(&version).join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    symlink(&version, mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    for (path, _) in files {
        let top = path.split('/').next().unwrap();
        // From the first time on these links stay as they are.
        let _ = symlink(Path::new("..data").join(top), mount.join(top));
    }
}
