//! The channel against sinks that behave badly, over real sockets.

mod answers;
mod changes;
mod http2;
mod names;
mod pins;
mod requests;
mod tls;
mod tokens;
mod wire;

use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioExecutor;
use visnyk_crds::valid::Target;

use super::*;
use crate::deliver::testing::{Answer, Sink, attempted_at, destination, event, outbound};

async fn send_to(destination: &Destination) -> Result<Delivered, Failure> {
    HttpChannel::new(destination, &outbound()).send(&event(&[], b"{}"), attempted_at()).await
}

async fn outcome(answer: Answer) -> Result<u16, FailureKind> {
    outcome_within(Duration::from_secs(10), answer).await
}

async fn outcome_within(timeout: Duration, answer: Answer) -> Result<u16, FailureKind> {
    let sink = Sink::new(answer).await;
    send_to(&Destination { timeout, ..destination(&sink.url()) })
        .await
        .map(|delivered| delivered.status)
        .map_err(|failure| failure.kind)
}
