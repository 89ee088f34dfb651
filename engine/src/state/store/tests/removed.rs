//! Changes of the state file from outside: its permissions, and its removal while it is open.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[tokio::test]
async fn commit_to_a_file_that_was_removed_or_moved_is_broken() {
    for name in ["state.db", "state.db-wal"] {
        let mut spool = Spool::new(&["sink"]).await;
        fs::rename(spool.dir.path().join(name), spool.dir.path().join("moved")).unwrap();
        spool.configure(&["sink", "other"]);
        let batch = spool.ledgers.take_batch().unwrap();
        let error = spool.store.commit(&batch).await.unwrap_err();
        assert!(matches!(error, CommitError::Broken(_)), "{name}: {error:?}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(name) && cause.contains("removed or renamed"), "{cause}");
    }
}

#[tokio::test]
async fn state_file_and_its_companions_are_this_users_alone() {
    let spool = Spool::new(&["sink"]).await;
    let modes = |dir: &Path| {
        let modes =
            ["state.db", "state.db-wal", "state.db-shm"].map(|name| dir.join(name).metadata().unwrap());
        modes.map(|metadata| metadata.permissions().mode() & 0o777)
    };
    assert_eq!(modes(spool.dir.path()), [0o600; 3]);
    // Made by a version that left it open to others.
    let file = spool.dir.path().join("state.db");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let spool = spool.reopen().await;
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    drop(spool);
}
