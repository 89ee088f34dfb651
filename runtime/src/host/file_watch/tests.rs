use super::*;
use crate::testing::kubelet::kubelet_writes;

/// Maximum time in which a notice of the kernel shows a change; well below the interval of the reads.
const NOTICED: Duration = Duration::from_secs(3);

async fn noticed(watch: &mut FileWatch) {
    tokio::time::timeout(NOTICED, watch.changed()).await.expect("the change is noticed");
}

#[tokio::test]
async fn edited_file_is_noticed_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.yaml");
    fs::write(&file, "one").unwrap();
    let mut watch = FileWatch::start(vec![file.clone()]);
    fs::write(&file, "two").unwrap();
    noticed(&mut watch).await;
    // As editors do it.
    fs::write(folder.path().join("new"), "three").unwrap();
    fs::rename(folder.path().join("new"), &file).unwrap();
    noticed(&mut watch).await;
    fs::remove_file(&file).unwrap();
    noticed(&mut watch).await;
}

#[tokio::test]
async fn swapped_link_of_a_mounted_volume_is_noticed_each_time() {
    let mount = tempfile::tempdir().unwrap();
    kubelet_writes(mount.path(), 1, &[("tls.crt", "one"), ("tls.key", "one")]);
    let mut watch = FileWatch::start(vec![mount.path().join("tls.crt"), mount.path().join("tls.key")]);
    for revision in 2..5 {
        let content = revision.to_string();
        kubelet_writes(mount.path(), revision, &[("tls.crt", &content), ("tls.key", &content)]);
        noticed(&mut watch).await;
    }
}

#[tokio::test]
async fn file_in_a_folder_of_a_swapped_volume_is_noticed_each_time() {
    let mount = tempfile::tempdir().unwrap();
    kubelet_writes(mount.path(), 1, &[("hook/token", "one")]);
    let mut file = FileWatch::start(vec![mount.path().join("hook/token")]);
    let mut folder = FileWatch::start(vec![mount.path().to_owned()]);
    for revision in 2..5 {
        kubelet_writes(mount.path(), revision, &[("hook/token", &revision.to_string())]);
        noticed(&mut file).await;
        noticed(&mut folder).await;
    }
}

#[tokio::test]
async fn file_that_appears_in_a_watched_folder_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let mut watch = FileWatch::start(vec![folder.path().to_owned()]);
    fs::create_dir(folder.path().join("secret")).unwrap();
    fs::write(folder.path().join("secret/token"), "x").unwrap();
    noticed(&mut watch).await;
}

#[tokio::test]
async fn same_content_is_no_change() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.yaml");
    fs::write(&file, "one").unwrap();
    let mut watch = FileWatch::start(vec![file.clone()]);
    fs::write(&file, "one").unwrap();
    tokio::time::timeout(MAX_DELAY, watch.changed()).await.expect_err("nothing changed");
}

#[tokio::test]
async fn change_without_a_notice_is_found_by_looking() {
    let folder = tempfile::tempdir().unwrap();
    let paths = vec![folder.path().join("relay.yaml")];
    let (sender, mut changes) = watch::channel(());
    let (wake, woken) = mpsc::channel(1);
    let seen = fingerprint(&paths);
    let watching = Watching { paths: paths.clone(), wake, watcher: None, seen };
    let task = tokio::spawn(run(watching, woken, sender));
    fs::write(&paths[0], "new").unwrap();
    tokio::time::timeout(POLL * 2, changes.changed()).await.expect("found in time").unwrap();
    task.abort();
}
