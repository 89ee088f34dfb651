//! Notices when files change, as an editor changes them and as Kubernetes does: it never touches a mounted
//! file but swaps the link `..data` beside it. The kernel's notices make it quick; a look at the contents
//! every few seconds makes it sure, for file systems that send none.

use std::{
    collections::BTreeSet,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, timeout_at},
};

/// Watches files and folders until dropped.
#[derive(Debug)]
pub struct FileWatch {
    changes: watch::Receiver<()>,
    task: JoinHandle<()>,
}

/// Interval of the reads of the contents.
const POLL: Duration = Duration::from_secs(5);
/// Time without a change after which the contents are read, because several files change together.
const QUIET: Duration = Duration::from_millis(100);
/// Maximum time from a change until the contents are read, for a folder that changes all the time.
const MAX_DELAY: Duration = Duration::from_secs(1);
/// Maximum depth of folders: a Secret in the secrets folder, and one more.
const DEPTH: usize = 3;

impl FileWatch {
    /// Watches these files, and the files in these folders, from now on. They need not exist.
    pub fn start(paths: Vec<PathBuf>) -> Self {
        let (sender, changes) = watch::channel(());
        let (wake, woken) = mpsc::channel(1);
        // Armed before the first look: what changes after it is noticed.
        let watcher = arm(&paths, wake.clone());
        let seen = fingerprint(&paths);
        let task = tokio::spawn(run(Watching { paths, wake, watcher, seen }, woken, sender));
        Self { changes, task }
    }

    /// Waits until the contents differ from those at the last change, or at the start. Cancel safe.
    pub async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for FileWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Watching {
    paths: Vec<PathBuf>,
    wake: mpsc::Sender<()>,
    watcher: Option<RecommendedWatcher>,
    seen: u64,
}

async fn run(mut watching: Watching, mut woken: mpsc::Receiver<()>, changed: watch::Sender<()>) {
    loop {
        if tokio::time::timeout(POLL, woken.recv()).await.is_ok() {
            let deadline = Instant::now() + MAX_DELAY;
            while let Ok(Some(())) = timeout_at(deadline.min(Instant::now() + QUIET), woken.recv()).await {}
        }
        let Ok((looked, differs)) = tokio::task::spawn_blocking(move || watching.look()).await else {
            return;
        };
        watching = looked;
        if differs {
            changed.send_replace(());
        }
    }
}

impl Watching {
    fn look(mut self) -> (Self, bool) {
        let seen = fingerprint(&self.paths);
        let differs = seen != self.seen;
        if differs {
            // A swapped link leads to other folders than those watched so far.
            self.watcher = arm(&self.paths, self.wake.clone());
            self.seen = fingerprint(&self.paths);
        }
        (self, differs)
    }
}

/// Asks the kernel for notices of changes. If it gives none, only the interval finds changes.
fn arm(paths: &[PathBuf], wake: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let notice = move |event: notify::Result<Event>| {
        // Reading is no change; and it is what we do ourselves.
        let read_only = |kind: EventKind| {
            kind.is_access() && kind != EventKind::Access(AccessKind::Close(AccessMode::Write))
        };
        if !event.is_ok_and(|event| read_only(event.kind)) {
            // One that waits already says the same.
            let _ = wake.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(notice)
        .inspect_err(|error| tracing::debug!(%error, "no file notices from the kernel, looking instead"))
        .ok()?;
    for folder in paths.iter().flat_map(|path| folders_to_watch(path)).collect::<BTreeSet<_>>() {
        let _ = watcher.watch(&folder, RecursiveMode::NonRecursive);
    }
    Some(watcher)
}

/// Returns the folders whose entries decide which file is at a path: the one it is in; the one that one is in, where
/// it is a link; and if the path is a folder, itself and those in it.
fn folders_to_watch(path: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut child = path;
    while let Some(parent) = child.parent() {
        // The parent of a bare name is here.
        folders.push(if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() });
        if !parent.is_symlink() {
            break;
        }
        child = parent;
    }
    if path.is_dir() {
        folders.push(path.to_owned());
        folders.extend(entries(path).into_iter().filter(|entry| entry.is_dir()));
    }
    folders
}

/// Returns the entries of a folder by name, without the links and folders that Kubernetes keeps for itself (`..data`).
fn entries(folder: &Path) -> Vec<PathBuf> {
    let hidden =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".."));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut entries: Vec<_> = entries.filter(|path| !hidden(path)).collect();
    entries.sort();
    entries
}

fn fingerprint(paths: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in paths {
        hash_tree(path, DEPTH, &mut hasher);
    }
    hasher.finish()
}

fn hash_tree(path: &Path, depth: usize, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    match fs::metadata(path) {
        Ok(found) if found.is_dir() && depth > 0 => {
            for entry in entries(path) {
                hash_tree(&entry, depth - 1, hasher);
            }
        }
        Ok(found) if found.is_file() => fs::read(path).map_err(|error| error.kind()).hash(hasher),
        Ok(_) => {}
        Err(error) => error.kind().hash(hasher),
    }
}

#[cfg(test)]
mod tests;
