//! Creates the data folder so that a power cut does not remove it and the accepted events in it.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Makes the folder and what is missing above it, and syncs each new name.
pub fn make(path: &Path) -> io::Result<()> {
    make_and(path, |folder| File::open(folder)?.sync_all())
}

fn make_and(path: &Path, mut sync: impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| is_missing(folder)).collect();
    fs::create_dir_all(path)?;
    let synced = missing
        .iter()
        .filter_map(|folder| folder.parent())
        .try_for_each(|parent| sync(if parent.as_os_str().is_empty() { Path::new(".") } else { parent }));
    if synced.is_err() {
        // The next attempt would find them there, and not know that their names may go.
        for folder in missing {
            let _ = fs::remove_dir(folder);
        }
    }
    synced
}

/// Returns whether the folder is missing. The empty path, above a relative one, is the process's working folder.
fn is_missing(folder: &Path) -> bool {
    !folder.as_os_str().is_empty() && !folder.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_new_name_is_synced_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let synced = |path: &Path| {
            let mut synced = Vec::new();
            make_and(path, |folder| {
                synced.push(folder.to_owned());
                Ok(())
            })
            .unwrap();
            synced
        };
        assert_eq!(synced(&path), [folder.path().join("a"), folder.path().to_owned()]);
        assert!(path.is_dir());
        assert_eq!(synced(&path), Vec::<std::path::PathBuf>::new());
        assert_eq!(synced(&path.join("c")), [path]);
    }

    #[test]
    fn folder_whose_name_cannot_be_synced_is_not_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let made = make_and(&folder.path().join("a/b"), |_| Err(io::ErrorKind::Other.into()));
        assert_eq!(made.unwrap_err().kind(), io::ErrorKind::Other);
        assert!(!folder.path().join("a").exists());
    }
}
