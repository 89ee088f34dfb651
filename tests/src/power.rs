//! A machine whose power is cut. The file system under test lies in an image, and what reaches the image is what it
//! has written back; what a program wrote and nobody synced is in memory only. A copy of the image, taken at
//! one moment while the program stands still, is what a power cut at that moment leaves.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use tempfile::TempDir;

use crate::mount::{self, Mounted};

/// Where images are kept: an XFS in memory, which copies a file in one instant, by reference, so that no copy
/// holds a later write without an earlier one.
#[derive(Debug)]
pub struct Lab {
    /// Mount of the images. It is unmounted first.
    images: Mounted,
    _memory: Mounted,
    _folder: TempDir,
    count: AtomicU32,
}

/// The file system under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// The file system of most volumes.
    Ext4,
    /// The file system XFS.
    Xfs,
}

/// A file system in an image that is mounted.
#[derive(Debug)]
pub struct Disk {
    mounted: Mounted,
    image: PathBuf,
    kind: FileSystem,
}

/// Size of an image in bytes, the minimum of XFS.
const IMAGE: u64 = 320 << 20;

impl Lab {
    /// Sets one up. None, with the reason printed, for whoever is not root.
    pub fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can mount file systems");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let memory = folder.path().join("memory");
        fs::create_dir(&memory).unwrap();
        let memory = Mounted::new(&["-t", "tmpfs", "-o", "size=3g", "none"], memory);
        let image = image(&memory.path().join("lab"), 4 << 30);
        mount::run("mkfs.xfs", &["-q", "-m", "reflink=1", mount::text(&image)]);
        let images = memory.path().join("images");
        fs::create_dir(&images).unwrap();
        let images = Mounted::new(&["-o", "loop,discard", mount::text(&image)], images);
        Some(Self { images, _memory: memory, _folder: folder, count: AtomicU32::new(0) })
    }

    /// Returns an empty file system.
    pub fn disk(&self, kind: FileSystem) -> Disk {
        let image = image(&self.place(), IMAGE);
        match kind {
            FileSystem::Ext4 => mount::run("mkfs.ext4", &["-q", "-m", "0", mount::text(&image)]),
            FileSystem::Xfs => mount::run("mkfs.xfs", &["-q", mount::text(&image)]),
        }
        Disk::mount(image, kind)
    }

    /// Returns a disk with the content that a power cut at this moment leaves, mounted as by a machine that starts
    /// again.
    pub fn after_power_cut(&self, disk: &Disk) -> Disk {
        let copy = self.place();
        let (from, to) = (File::open(&disk.image).unwrap(), File::create(&copy).unwrap());
        rustix::fs::ioctl_ficlone(&to, &from).unwrap();
        Disk::mount(copy, disk.kind)
    }

    fn place(&self) -> PathBuf {
        self.images.path().join(format!("image-{}", self.count.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Disk {
    fn mount(image: PathBuf, kind: FileSystem) -> Self {
        let options = match kind {
            FileSystem::Ext4 => "loop",
            // A copy has the identity of what it is a copy of.
            FileSystem::Xfs => "loop,nouuid",
        };
        let place = image.with_extension("mounted");
        fs::create_dir(&place).unwrap();
        let mounted = Mounted::new(&["-o", options, mount::text(&image)], place);
        Self { mounted, image, kind }
    }

    /// Returns the folder where it is mounted.
    pub fn path(&self) -> &Path {
        self.mounted.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.mounted.unmount();
        let _ = fs::remove_file(&self.image);
    }
}

fn image(path: &Path, size: u64) -> PathBuf {
    File::create(path).unwrap().set_len(size).unwrap();
    path.to_owned()
}
