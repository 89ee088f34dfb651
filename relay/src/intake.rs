//! Handles the requests of senders: matches the path, verifies the sender, reads the body, journals the event, and
//! only then answers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use jiff::Timestamp;
use tracing::debug;
use uuid::Uuid;
use visnyk_engine::event::{NewEvent, new_id};
use visnyk_engine::journal::AppendError;
use visnyk_engine::spool::{Appended, Spool};
use visnyk_runtime::blocking::run_blocking_if_large;
use visnyk_runtime::host::configuration::Configuration;
use visnyk_runtime::server::app::{App, TrackedBody};
use visnyk_runtime::server::{body::Bodies, listener::Peer, problem::Problem};

use crate::active::Active;
use crate::body_kind::{self, InvalidJson};
use crate::client;
use crate::in_flight::InFlight;
use crate::metrics::IntakeMetrics;
use crate::rejection::Rejection;
use crate::sources::{
    Accepted, Answer, Classification, Request as Judged, SourceEndpoint, is_binary_cloud_event,
};

const INVALID_JSON: &str = "Invalid JSON";
/// Header of the answer with the event's id.
const VISNYK_ID: HeaderName = HeaderName::from_static("visnyk-id");
/// Wait for a sender: the journal frees segments as deliveries proceed, and tries a failing disk each second.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Wait for a sender with too many requests in flight, which end within milliseconds.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// Everything that handling a request needs.
pub struct Intake {
    /// The active configuration and sources.
    pub active: Arc<Configuration<Active>>,
    /// Limit of bodies in flight.
    pub bodies: Bodies,
    /// Limit of the requests of one client.
    pub in_flight: InFlight,
    /// Storage of the events.
    pub spool: Spool,
    /// Counters of accepted and refused requests.
    pub metrics: IntakeMetrics,
}

/// The application of the listener. Clones share the intake.
#[derive(Clone)]
pub struct IntakeApp {
    intake: Arc<Intake>,
}

type Answered = Response<Full<Bytes>>;

impl From<Intake> for IntakeApp {
    fn from(intake: Intake) -> Self {
        Self { intake: Arc::new(intake) }
    }
}

impl App for IntakeApp {
    type Body = Full<Bytes>;

    async fn answer(self, peer: Peer, request: Request<TrackedBody>) -> Answered {
        let answer = self.intake.take(peer, request).await.unwrap_or_else(Problem::response);
        self.intake.metrics.answered(answer.status());
        answer
    }
}

impl Intake {
    async fn take(&self, Peer { address }: Peer, request: Request<TrackedBody>) -> Result<Answered, Problem> {
        let (head, body) = request.into_parts();
        let active = self.active.current();
        let client = client::address(address.ip(), &head.headers, &active.valid.trusted_proxies);
        // Whose share of places and memory a request takes: that of its connection, where proxies do not say it.
        let holder = client.unwrap_or(address.ip());
        let place = self.in_flight.enter(holder);
        let _place =
            place.ok_or_else(|| Problem::too_many_requests("Too many requests at once", COME_AGAIN))?;
        let endpoint = active.endpoint(head.uri.path()).ok_or_else(Problem::not_found)?;
        check_method(&endpoint, &head)?;
        let judge = |refusal| self.refuse(&endpoint, refusal);
        endpoint.admit(client).map_err(judge)?;
        let head_only = Judged { head: &head, body: &[], now: Timestamp::now() };
        if !endpoint.provider.signs_body() {
            endpoint.provider.verify(&head_only).map_err(judge)?;
        }
        // Before the body is read, so that nobody who waits holds one.
        if let Some(preparing) = endpoint.provider.prepare(&head_only) {
            preparing.await;
        }
        // The body's share of memory is held until it is on disk.
        let limit = active.valid.listener.max_body_size;
        // A body takes its time: an old configuration is not kept for that.
        drop(active);
        let body = self.bodies.read(holder, &head.headers, body, limit).await?;
        let request = Judged { head: &head, body: &body.bytes, now: Timestamp::now() };
        if let Some(greeting) = endpoint.provider.greet(&request) {
            return greeting.map(|answer| self.greeted(&endpoint, answer)).map_err(judge);
        }
        let attributes = match run_blocking_if_large(body.bytes.len(), || self.examine(&endpoint, &request))?
        {
            Classification::Event(attributes) => attributes,
            Classification::Greeting(answer) => return Ok(self.greeted(&endpoint, answer)),
            Classification::Broken(reason) => return Err(Problem::bad_request(reason)),
        };
        let received_at_ms = request.now.as_millisecond();
        let source = &endpoint.source;
        let event = NewEvent {
            id: new_id(received_at_ms),
            received_at_ms,
            source: &source.name,
            target: head.uri.path_and_query().map_or(&source.path, PathAndQuery::as_str),
            headers: endpoint.headers.of_request(&head.headers),
            attributes: &attributes,
            body: &body.bytes,
        };
        let id = self.append(&endpoint, &event).await.map_err(refusal)?;
        Ok(handled(endpoint.provider.accepted(), id))
    }

    /// Returns the meaning of a request with a body, if its proof and its form are what the source requires.
    fn examine(&self, endpoint: &SourceEndpoint, request: &Judged<'_>) -> Result<Classification, Problem> {
        if endpoint.provider.signs_body() {
            endpoint.provider.verify(request).map_err(|refusal| self.refuse(endpoint, refusal))?;
        }
        if !endpoint.provider.takes_any_body() {
            let content_type = request.head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let is_data = endpoint.source.verify.speaks_cloud_events() && is_binary_cloud_event(request);
            let check = if is_data { body_kind::check_data } else { body_kind::check };
            check(content_type, request.body).map_err(|InvalidJson| invalid_json(&request.head.headers))?;
        }
        Ok(match endpoint.provider.describe(request) {
            Classification::Event(attributes) => {
                Classification::Event(endpoint.identify(request, attributes))
            }
            other => other,
        })
    }

    /// Appends the event and returns its id: another id if it was accepted before.
    async fn append(&self, endpoint: &SourceEndpoint, event: &NewEvent<'_>) -> Result<Uuid, AppendError> {
        let source = &endpoint.source;
        let appended = self.spool.append(event, source.deduplicate.as_ref()).await?;
        let (id, bytes, source) = (event.id, event.body.len(), &source.name);
        match appended {
            Appended::New(seq) => {
                debug!(event = %id, seq, source, bytes, "accepted");
                endpoint.accepted.inc();
                Ok(id)
            }
            Appended::Repeat(id) => {
                debug!(event = %id, source, bytes, "repeated, and not accepted again");
                self.metrics.repeated(source);
                Ok(id)
            }
        }
    }

    /// Refuses a request. The sender is not told why; the metrics are. While the source lacks its secret, the sender
    /// may be the right one, and many never repeat what was answered with 401.
    fn refuse(&self, endpoint: &SourceEndpoint, refusal: Rejection) -> Problem {
        self.metrics.refused(&endpoint.source.name, refusal);
        match refusal {
            Rejection::NoSecret => Problem::unavailable("Senders cannot be verified now", RETRY_AFTER),
            _ => Problem::unauthorized("Not authorized", endpoint.provider.challenge()),
        }
    }

    fn greeted(&self, endpoint: &SourceEndpoint, answer: Answer) -> Answered {
        self.metrics.greeted(&endpoint.source.name);
        let mut response = Response::new(Full::from(answer.body));
        if let Some(content_type) = answer.content_type {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        response
    }
}

/// Checks the method. `GET` is only for greetings, where it is allowed at all.
fn check_method(endpoint: &SourceEndpoint, head: &Parts) -> Result<(), Problem> {
    let methods = endpoint.provider.methods();
    let is_allowed = methods.split(", ").any(|method| head.method == method);
    if is_allowed { Ok(()) } else { Err(Problem::method_not_allowed(methods)) }
}

/// Returns the answer to a body that must be JSON and is not. A compressed one may still be JSON.
fn invalid_json(headers: &HeaderMap) -> Problem {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    if codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        Problem::bad_request(INVALID_JSON)
    } else {
        Problem::unsupported_coding()
    }
}

fn refusal(error: AppendError) -> Problem {
    match error {
        AppendError::Full => Problem::unavailable("Spool is full", RETRY_AFTER),
        AppendError::Unavailable => Problem::unavailable("Spool cannot be written", RETRY_AFTER),
        AppendError::TooLarge => Problem::bad_request("Headers and body are too large together"),
    }
}

fn handled(answer: Accepted, id: Uuid) -> Answered {
    let mut response = Response::new(Full::from(answer.body));
    if let Some(content_type) = answer.content_type {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    let mut buffer = Uuid::encode_buffer();
    if let Ok(id) = HeaderValue::from_str(id.hyphenated().encode_lower(&mut buffer)) {
        response.headers_mut().insert(VISNYK_ID, id);
    }
    response
}
