//! A state file that somebody removes while it is open.

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
