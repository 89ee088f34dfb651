//! A small disk of its own, to fill up.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// An ext4 file system in a file. Unmounted when dropped.
#[derive(Debug)]
pub struct Mount {
    folder: TempDir,
}

impl Mount {
    /// Makes and mounts a file system of so many MiB. None, with the reason printed, for whoever is not root.
    pub fn ext4(mebibytes: u64) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can mount a small disk");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        fs::create_dir(folder.path().join("disk")).unwrap();
        let mount = Self { folder };
        run("mkfs.ext4", &["-q", "-m", "0", path(&image)]);
        run("mount", &["-o", "loop", path(&image), path(&mount.path())]);
        Some(mount)
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// Fills the disk to its last block; gone again when the file is removed.
    pub fn fill(&self) -> PathBuf {
        let filler = self.path().join("filler");
        let mut file = File::create(&filler).unwrap();
        for size in [1 << 20, 4 << 10, 1] {
            loop {
                match file.write(&vec![b'x'; size]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                    Err(error) => panic!("{}: {error}", filler.display()),
                }
            }
        }
        // What is allocated late must be taken too.
        let _ = file.sync_all();
        filler
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a process that a failed test leaves behind may still have files open.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
