//! A sink that only counts, for benchmarks: it costs as little as a sink can.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use tokio::time::sleep;

/// Time that a sink takes for its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// No wait for any answer.
    AtOnce,
    /// The same for every answer.
    Late(Duration),
    /// This for one answer of so many, and none for the others.
    LateOnceIn(u64, Duration),
}

impl Pace {
    fn wait(self, number: u64) -> Duration {
        match self {
            Self::Late(wait) => wait,
            Self::LateOnceIn(of, wait) if number.is_multiple_of(of) => wait,
            Self::AtOnce | Self::LateOnceIn(..) => Duration::ZERO,
        }
    }
}

/// Returns a server that counts the POSTs to `/`, each when its body is there, and answers them at this pace.
pub fn router(taken: Arc<AtomicU64>, pace: Pace) -> Router {
    let take = async move |State(taken): State<Arc<AtomicU64>>, _: Bytes| {
        let wait = pace.wait(taken.fetch_add(1, Ordering::Relaxed));
        if !wait.is_zero() {
            sleep(wait).await;
        }
    };
    Router::new().route("/", post(take)).with_state(taken)
}
