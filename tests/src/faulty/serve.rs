//! Answers to the kernel's requests from the [`Tree`].

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags,
    RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::tree::{Content, Kind, Tree};

/// The tree that the kernel reads and changes.
pub(super) struct Served(pub(super) Arc<Mutex<Tree>>);

/// Time for which the kernel may cache an answer: none.
const TTL: Duration = Duration::ZERO;
const BLOCK: u32 = 4096;
/// Number of blocks of the file system: 256 MiB.
const BLOCKS: u64 = 65_536;
const HANDLE: FileHandle = FileHandle(0);

impl Served {
    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.0.lock().unwrap()
    }

    fn add(&self, parent: INodeNo, name: &OsStr, mode: u32, kind: Kind, reply: ReplyEntry) {
        let mut tree = self.tree();
        match tree.add(parent.0, name, mode & 0o7777, kind).and_then(|number| attributes(&tree, number)) {
            Ok(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }
}

fn attributes(tree: &Tree, number: u64) -> Result<FileAttr, Errno> {
    let node = tree.nodes.get(&number).ok_or(Errno::ENOENT)?;
    let (kind, size) = match &node.kind {
        Kind::Folder(_) => (FileType::Directory, 0),
        Kind::File(content) => (FileType::RegularFile, content.current.len() as u64),
        Kind::Socket => (FileType::Socket, 0),
    };
    Ok(FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: u16::try_from(node.mode).unwrap_or(0o700),
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    })
}

/// Bypasses the kernel's cache, so that removed content is gone. Only shared memory, which `SQLite`'s index is, needs
/// the cache.
fn flags(name: &OsStr) -> FopenFlags {
    let is_memory = name.to_str().is_some_and(|name| name.ends_with("-shm"));
    if is_memory { FopenFlags::empty() } else { FopenFlags::FOPEN_DIRECT_IO }
}

fn end(outcome: Result<(), Errno>, reply: ReplyEmpty) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn at(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut tree = self.tree();
        match tree.lookup(parent.0, name).and_then(|number| attributes(&tree, number)) {
            Ok(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn forget(&self, _: &Request, number: INodeNo, _: u64) {
        self.tree().nodes.retain(|other, node| *other != number.0 || node.is_linked);
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match attributes(&self.tree(), number.0) {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut tree = self.tree();
        if let (Some(mode), Some(node)) = (mode, tree.nodes.get_mut(&number.0)) {
            node.mode = mode & 0o7777;
        }
        let outcome = size.map_or(Ok(()), |size| tree.truncate(number.0, at(size)));
        match outcome.and_then(|()| attributes(&tree, number.0)) {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn mknod(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let is_socket = rustix::fs::FileType::from_raw_mode(mode) == rustix::fs::FileType::Socket;
        let kind = if is_socket { Kind::Socket } else { Kind::File(Content::default()) };
        self.add(parent, name, mode, kind, reply);
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        self.add(parent, name, mode, Kind::Folder(BTreeMap::new()), reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        end(self.tree().remove(parent.0, name), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        end(self.tree().remove(parent.0, name), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        to: INodeNo,
        new: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        end(self.tree().rename((parent.0, name), (to.0, new)), reply);
    }

    fn open(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.tree().open(number.0) {
            Ok(name) => reply.opened(HANDLE, flags(&name)),
            Err(error) => reply.error(error),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let mut tree = self.tree();
        let added = tree.add(parent.0, name, mode & 0o7777, Kind::File(Content::default()));
        match added.and_then(|number| attributes(&tree, number)) {
            Ok(attributes) => reply.created(&TTL, &attributes, Generation(0), HANDLE, flags(name)),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.tree().read(number.0, at(offset), at(size.into())) {
            Ok(bytes) => reply.data(bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.tree().write(number.0, at(offset), data) {
            Ok(()) => reply.written(data.len().try_into().unwrap()),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        end(self.tree().sync(number.0), reply);
    }

    fn fsyncdir(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        end(self.tree().sync_folder(number.0), reply);
    }

    fn readdir(&self, _: &Request, number: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let mut tree = self.tree();
        let entries: Vec<_> = match tree.folder(number.0) {
            Ok(entries) => entries.iter().map(|(name, number)| (name.clone(), *number)).collect(),
            Err(error) => return reply.error(error),
        };
        for (index, (name, number)) in entries.iter().enumerate().skip(at(offset)) {
            let Ok(attributes) = attributes(&tree, *number) else { continue };
            if reply.add(INodeNo(*number), index as u64 + 1, attributes.kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let tree = self.tree();
        let sizes = tree.nodes.values().map(|node| match &node.kind {
            Kind::File(content) if node.is_linked => (content.current.len() as u64).div_ceil(BLOCK.into()),
            _ => 0,
        });
        let free = BLOCKS.saturating_sub(sizes.sum());
        reply.statfs(BLOCKS, free, free, 10_000, 10_000, BLOCK, 255, BLOCK);
    }
}
