//! Waiting for conditions instead of for time.

use std::{fmt::Debug, time::Duration};

use tokio::time::{Instant, sleep};

/// Maximum time of anything on a machine that is busy with other things. Reached only by failures.
pub const TIMEOUT: Duration = Duration::from_mins(1);

/// Asks every few milliseconds until the answer satisfies, and returns that answer.
///
/// # Panics
/// After [`TIMEOUT`], with the last answer.
pub async fn eventually<T: Debug>(
    what: &str,
    mut ask: impl AsyncFnMut() -> T,
    satisfies: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let answer = ask().await;
        if satisfies(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "not in {TIMEOUT:?}: {what}; last seen: {answer:?}");
        sleep(Duration::from_millis(10)).await;
    }
}
