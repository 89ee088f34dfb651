//! A sink that only counts, for benchmarks: it costs as little as a sink can.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use tokio::net::TcpListener;

/// Counts the POSTs to `/`, and answers a GET with their number.
///
/// # Errors
///
/// The address cannot be bound, or the server fails.
pub async fn serve(address: SocketAddr) -> io::Result<()> {
    let taken = Arc::new(AtomicU64::new(0));
    let take = async |State(taken): State<Arc<AtomicU64>>, _: Bytes| {
        taken.fetch_add(1, Ordering::Relaxed);
    };
    let tell = async |State(taken): State<Arc<AtomicU64>>| taken.load(Ordering::Relaxed).to_string();
    let app = Router::new().route("/", post(take).get(tell)).with_state(taken);
    axum::serve(TcpListener::bind(address).await?, app).await
}
