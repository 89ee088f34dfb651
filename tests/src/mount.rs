//! File systems of a test's own: a small disk to fill up here, others in [`crate::power`] and [`crate::faulty`].

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// A mounted file system. It is unmounted when this is dropped.
#[derive(Debug)]
pub struct Mounted {
    place: PathBuf,
}

/// An ext4 file system in a file. It is unmounted when this is dropped.
#[derive(Debug)]
pub struct Mount {
    mounted: Mounted,
    _folder: TempDir,
}

impl Mounted {
    /// Mounts with these arguments in an empty folder.
    pub fn new(args: &[&str], place: PathBuf) -> Self {
        run("mount", &[args, &[text(&place)]].concat());
        Self { place }
    }

    /// Returns the folder where it is mounted.
    pub fn path(&self) -> &Path {
        &self.place
    }

    /// Unmounts the file system.
    pub fn unmount(&self) {
        // Lazily: a process that a failed test leaves behind may still have files open.
        let plainly = Command::new("umount").arg(&self.place).stderr(Stdio::null()).status();
        if !plainly.is_ok_and(|status| status.success()) {
            let _ = Command::new("umount").arg("--lazy").arg(&self.place).stderr(Stdio::null()).status();
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.unmount();
    }
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
        run("mkfs.ext4", &["-q", "-m", "0", text(&image)]);
        let mounted = Mounted::new(&["-o", "loop", text(&image)], folder.path().join("disk"));
        Some(Self { mounted, _folder: folder })
    }

    /// Returns the folder where it is mounted.
    pub fn path(&self) -> &Path {
        self.mounted.path()
    }

    /// Fills the disk to its last block with a file. Its removal frees the space.
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

/// Runs a program that has to succeed.
pub fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Returns a path for a command line.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
