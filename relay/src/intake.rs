//! A source's side of the relay: match the path, verify the sender, read the body, journal the event, and only
//! then say so.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use tracing::debug;
use uuid::Uuid;
use visnyk_crds::valid::{Source, ValidatedRelay};
use visnyk_engine::configuration::Configuration;
use visnyk_engine::event::{Envelope, Event, is_confidential, is_hop_by_hop};
use visnyk_engine::journal::{AppendError, Journal};
use visnyk_engine::serve::{body::Bodies, listener::Peer, problem::Problem};

use crate::body_kind::{self, InvalidJson};
use crate::in_flight::{InFlight, Place};
use crate::metrics::IntakeMetrics;
use crate::tokens::Tokens;

/// Byte for byte what the old receiver answered.
const HANDLED: &str = "{\"success\":\"Webhook handled\"}\n";
const INVALID_JSON: &str = "Invalid JSON";
/// The event's id, in the answer to its sender.
const VISNYK_ID: HeaderName = HeaderName::from_static("visnyk-id");
/// The journal frees segments as deliveries go, and tries a failing disk each second.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Requests in flight end within milliseconds.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// What a request meets.
pub struct Intake {
    /// The sources in force.
    pub configuration: Arc<Configuration<ValidatedRelay>>,
    /// What senders prove themselves with.
    pub tokens: Arc<Tokens>,
    /// Bounds the bodies in flight.
    pub bodies: Bodies,
    /// Bounds the requests of one address.
    pub in_flight: InFlight,
    /// Where events go.
    pub journal: Journal,
    /// What was taken and refused.
    pub metrics: IntakeMetrics,
}

/// The application behind the listener.
pub fn router(intake: Intake) -> Router {
    Router::new().fallback(receive).with_state(Arc::new(intake))
}

async fn receive(State(intake): State<Arc<Intake>>, request: Request) -> Result<Response, Problem> {
    let taken = intake.take(request).await;
    intake.metrics.answered(taken.as_ref().map_or_else(|problem| problem.status, Response::status));
    taken
}

impl Intake {
    async fn take(&self, request: Request) -> Result<Response, Problem> {
        let (head, body) = request.into_parts();
        let _place = self.place(&head)?;
        let relay = self.configuration.current();
        let source = find(&relay.sources, &head)?;
        if !self.tokens.admit(source, head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes)) {
            return Err(Problem::unauthorized("Not authorized"));
        }
        // The body's share of memory is held until it is on disk.
        let body = self.bodies.read(&head.headers, body, relay.listener.max_body_size).await?;
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        body_kind::check(content_type, &body.bytes)
            .map_err(|InvalidJson| Problem::bad_request(INVALID_JSON))?;

        let event = Event { envelope: envelope(source, &head), body: body.bytes.clone() };
        let seq = self.journal.append(event.encode()).await.map_err(refusal)?;
        debug!(event = %event.envelope.id, seq, source = source.name, bytes = event.body.len(), "accepted");
        Ok(handled(event.envelope.id))
    }

    fn place(&self, head: &Parts) -> Result<Option<Place>, Problem> {
        let Some(peer) = head.extensions.get::<Peer>() else { return Ok(None) };
        let place = self.in_flight.enter(peer.address.ip());
        place.map(Some).ok_or_else(|| Problem::too_many_requests("Too many requests at once", COME_AGAIN))
    }
}

fn find<'a>(sources: &'a [Source], head: &Parts) -> Result<&'a Source, Problem> {
    let path = head.uri.path();
    let source = sources.iter().find(|source| source.path == path).ok_or_else(Problem::not_found)?;
    if head.method == Method::POST { Ok(source) } else { Err(Problem::method_not_allowed("POST")) }
}

fn envelope(source: &Source, head: &Parts) -> Envelope {
    Envelope {
        id: Uuid::new_v4(),
        received_at_ms: Timestamp::now().as_millisecond(),
        source: source.name.clone(),
        target: head.uri.path_and_query().map_or_else(|| source.path.clone(), ToString::to_string),
        headers: kept(&head.headers),
    }
}

fn kept(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers
        .iter()
        .filter(|(name, _)| !is_confidential(name.as_str()) && !is_hop_by_hop(name.as_str()))
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

fn refusal(error: AppendError) -> Problem {
    match error {
        AppendError::Full => Problem::unavailable("Spool is full", RETRY_AFTER),
        AppendError::Unavailable => Problem::unavailable("Spool cannot be written", RETRY_AFTER),
        AppendError::TooLarge => Problem::bad_request("Headers and body are too large together"),
    }
}

fn handled(id: Uuid) -> Response {
    let mut response = Response::new(Body::from(HANDLED));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut buffer = Uuid::encode_buffer();
    if let Ok(id) = HeaderValue::from_str(id.hyphenated().encode_lower(&mut buffer)) {
        response.headers_mut().insert(VISNYK_ID, id);
    }
    response
}
