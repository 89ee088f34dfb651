//! Work that takes its time: over large bodies, which are parsed, verified and signed, and on files. It is done beside
//! what else the process does, and not before it.

use tokio::runtime::{Handle, RuntimeFlavor};

/// From so many bytes on, to hand a thread's other tasks over costs little beside the work, which takes milliseconds where
/// it parses.
const MIN_LARGE: usize = 64 << 10;

/// Works on so many bytes. Where they are many, the other tasks of this thread go on meanwhile, unless it is the runtime's
/// only one.
pub fn run_blocking_if_large<Outcome>(bytes: usize, work: impl FnOnce() -> Outcome) -> Outcome {
    let has_threads = || {
        let runtime = Handle::try_current();
        runtime.is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
    };
    if bytes >= MIN_LARGE && has_threads() { tokio::task::block_in_place(work) } else { work() }
}

/// Works on files. A disk may take its time, so the other tasks of this thread go on meanwhile, unless it is the
/// runtime's only one.
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
