//! Long work: large bodies, which are parsed, verified and signed, and files. It does not hold up the other tasks of
//! the process.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Minimum size of a large body, in bytes. To move the other tasks to another thread costs little beside work on so
/// many bytes, which takes milliseconds to parse.
const MIN_LARGE: usize = 64 << 10;

/// Runs work on this number of bytes. If they are many, the other tasks of this thread continue meanwhile, unless it is
/// the runtime's only thread.
pub fn run_blocking_if_large<Outcome>(bytes: usize, work: impl FnOnce() -> Outcome) -> Outcome {
    let has_threads = || {
        let runtime = Handle::try_current();
        runtime.is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
    };
    if bytes >= MIN_LARGE && has_threads() { tokio::task::block_in_place(work) } else { work() }
}

/// Runs work on files. A disk may be slow, so the other tasks of this thread continue meanwhile, unless it is the
/// runtime's only thread.
pub fn run_blocking<Outcome>(work: impl FnOnce() -> Outcome) -> Outcome {
    run_blocking_if_large(MIN_LARGE, work)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Returns whether another task runs while a thread that is alone works on so many bytes.
    async fn others_go_on(bytes: usize) -> bool {
        let (say, hear) = mpsc::channel();
        let working = tokio::spawn(async move {
            tokio::spawn(async move { say.send(()) });
            run_blocking_if_large(bytes, || hear.recv_timeout(Duration::from_secs(1)).is_ok())
        });
        working.await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn many_bytes_hold_up_nobody() {
        assert!(others_go_on(MIN_LARGE).await);
        assert!(!others_go_on(MIN_LARGE - 1).await, "few are not worth it");
    }

    #[tokio::test]
    async fn thread_without_others_works_all_the_same() {
        assert_eq!(run_blocking_if_large(MIN_LARGE, || 7), 7);
    }
}
