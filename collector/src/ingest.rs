//! Handles requests: any path, POST only, answered as the old collector did once the line is synced.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http::{HeaderValue, Method, header::CONTENT_TYPE};
use jiff::Timestamp;
use tracing::debug;
use visnyk_crds::valid::ValidatedCollector;
use visnyk_runtime::host::configuration::Configuration;
use visnyk_runtime::server::{
    body::Bodies, client_certificate::ClientCertificate, listener::Peer, problem::Problem,
};

use crate::access::{AccessMetrics, admit};
use crate::log::{line::line, writer::LogWriter};

/// Answer of the old collector, byte for byte.
const RECEIVED: &str = "POST request received and processed.";
/// Wait for a sender: a failing log is tried again each second.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Everything that handling a request needs.
pub struct Ingest {
    /// The configuration that is active.
    pub configuration: Arc<Configuration<ValidatedCollector>>,
    /// Limit of bodies in flight.
    pub bodies: Bodies,
    /// The writer of the log.
    pub writer: LogWriter,
    /// Counter of senders that may not send.
    pub access: AccessMetrics,
}

/// Returns the HTTP application of the listener.
pub fn router(ingest: Ingest) -> Router {
    Router::new().fallback(take).with_state(Arc::new(ingest))
}

async fn take(State(ingest): State<Arc<Ingest>>, request: Request) -> Result<Response, Problem> {
    if request.method() != Method::POST {
        return Err(Problem::method_not_allowed("POST"));
    }
    let (head, body) = request.into_parts();
    let configuration = ingest.configuration.current();
    let certificate = head.extensions.get::<ClientCertificate>();
    let sender = certificate.and_then(|certificate| certificate.sender(Timestamp::now()));
    if let Err(refusal) = admit(&configuration, sender) {
        ingest.access.refused(&refusal);
        debug!(?refusal, "sender not let in");
        return Err(refusal.into());
    }
    let limit = configuration.listener.max_body_size;
    // The body's share of memory is held until its line is written.
    let peer = head.extensions.get::<Peer>();
    let client = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address.ip());
    let body = ingest.bodies.read(client, &head.headers, body, limit).await?;
    ingest
        .writer
        .append(line(&body.bytes).into())
        .await
        .map_err(|error| Problem::unavailable(error.to_string(), RETRY_AFTER))?;
    let id = head.headers.get("webhook-id").and_then(|id| id.to_str().ok());
    debug!(webhook_id = id, bytes = body.bytes.len(), "line accepted");
    let mut response = Response::new(Body::from(RECEIVED));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    Ok(response)
}
