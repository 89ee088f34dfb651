//! The server side of the relay's commands: dead letters, redrive and discard, on a socket that only the owner of the
//! data folder can open.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::{StreamExt, stream};
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tracing::info;
use uuid::Uuid;
use visnyk_crds::contract::status::RelayStatus;
use visnyk_engine::deliver::fleet::Fleet;
use visnyk_engine::event::Event;
use visnyk_engine::spool::Spool;
use visnyk_engine::state::{DeadLetter, DestinationId, Select, Seq};
use visnyk_runtime::server::problem::Problem;

use crate::status::Status;

/// The parts of the relay on which the commands act.
pub struct Admin {
    /// The spool, which knows the state of each event.
    pub spool: Spool,
    /// The dispatchers of all destinations.
    pub fleet: Arc<Mutex<Fleet>>,
    /// Source of the content of `/status`.
    pub status: Status,
}

/// Selection of dead letters to list.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ListQuery {
    /// Name of a destination; `None`: all destinations.
    pub destination: Option<String>,
    /// Include headers and body.
    #[serde(default)]
    pub bodies: bool,
}

/// One dead letter, as `dead-letters list` prints it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// Name of the destination.
    pub destination: String,
    /// The event's id; `None` where its bytes cannot be read.
    pub event: Option<Uuid>,
    /// Time of receipt, RFC 3339.
    pub received: String,
    /// Time of the last failed attempt, RFC 3339.
    pub died: String,
    /// Number of attempts made.
    pub attempts: u32,
    /// Result of the last attempt.
    pub reason: String,
    /// Type of the event, as its sender names it.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The sender's own id of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<String>,
    /// Time of the event, as its sender says, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub happened: Option<String>,
    /// Name of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Headers of the event, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Vec<(String, String)>>,
    /// Body of the event, as text; bytes that are not UTF-8 become replacement characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// Selection of dead letters to deliver again.
#[derive(Debug, Serialize, Deserialize)]
pub struct RedriveOrder {
    /// Name of the destination.
    pub destination: String,
    /// Ids of the events; empty: all dead letters of the destination.
    pub events: Vec<Uuid>,
}

/// Result of a redrive.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedriveAnswer {
    /// Number of events that are pending again.
    pub redriven: usize,
    /// Number of events that stay dead letters because the waiting room is full.
    pub no_room: usize,
}

/// Selection of events to drop.
#[derive(Debug, Serialize, Deserialize)]
pub struct DiscardOrder {
    /// Name of the destination.
    pub destination: String,
}

/// Result of a discard.
#[derive(Debug, Serialize, Deserialize)]
pub struct DiscardAnswer {
    /// Number of events that were dropped.
    pub dropped: u64,
}

/// Returns the HTTP application of the admin socket.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/dead-letters", get(list))
        .route("/redrive", post(redrive))
        .route("/discard", post(discard))
        .with_state(Arc::new(admin))
}

async fn status(State(admin): State<Arc<Admin>>) -> Json<RelayStatus> {
    Json(admin.status.now())
}

/// Streams a line of JSON for each dead letter, each made after the one before was sent: all of them may not fit in
/// memory.
async fn list(State(admin): State<Arc<Admin>>, Query(query): Query<ListQuery>) -> Result<Response, Problem> {
    let destinations = admin.destinations(query.destination.as_deref())?;
    let lines = stream::iter(destinations).flat_map(move |(id, name)| {
        let letters = stream::iter(admin.spool.dead_letters(id));
        let (admin, name): (_, Arc<str>) = (Arc::clone(&admin), name.into());
        letters.then(move |letter| line(Arc::clone(&admin), id, Arc::clone(&name), letter, query.bodies))
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

async fn line(
    admin: Arc<Admin>,
    id: DestinationId,
    destination: Arc<str>,
    letter: DeadLetter,
    bodies: bool,
) -> serde_json::Result<String> {
    let event = admin.spool.held_event(id, letter.seq).await;
    let listed = to_listed(&destination, &letter, event.as_ref(), bodies);
    serde_json::to_string(&listed).map(|line| line + "\n")
}

async fn redrive(
    State(admin): State<Arc<Admin>>,
    Json(order): Json<RedriveOrder>,
) -> Result<Json<RedriveAnswer>, Problem> {
    let (id, name) = admin.destinations(Some(&order.destination))?.remove(0);
    let chosen = if order.events.is_empty() { None } else { Some(admin.seqs(id, &order.events).await?) };
    // A task of its own: whoever asked may go away, and half a redrive would leave events that nobody tries.
    let carried_out = tokio::spawn(async move {
        let answer = admin.redrive(id, &name, chosen.as_deref()).await;
        info!(destination = name, redriven = answer.redriven, "dead letters wait again by command");
        admin.commit().await.map(|()| Json(answer))
    });
    carried_out.await.unwrap_or_else(|_| Err(Problem::unavailable("Redrive has failed", RETRY_AFTER)))
}

async fn discard(
    State(admin): State<Arc<Admin>>,
    Json(order): Json<DiscardOrder>,
) -> Result<Json<DiscardAnswer>, Problem> {
    let (id, name) = admin.destinations(Some(&order.destination))?.remove(0);
    let told = admin.fleet.lock().await.discard(&name);
    let dropped = match told {
        Ok(answer) => answer.await.map_err(|_| Problem::unavailable("Relay is going away", RETRY_AFTER))?,
        // Nobody delivers to it, so nothing is in flight.
        Err(_) => admin.spool.discard(id),
    };
    admin.commit().await?;
    Ok(Json(DiscardAnswer { dropped }))
}

/// Time after which a stopping relay is back, if it comes back.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(5);

impl Admin {
    /// Commits the effect of a command to disk before the command is answered.
    async fn commit(&self) -> Result<(), Problem> {
        let committed = self.spool.commit_now().await;
        committed.map_err(|error| Problem::unavailable(format!("done, but not kept: {error}"), RETRY_AFTER))
    }

    /// Makes dead letters pending again, and wakes their dispatcher before the change is committed: while the state
    /// file is full nothing is sent, and later nothing else would wake it.
    async fn redrive(&self, id: DestinationId, name: &str, chosen: Option<&[Seq]>) -> RedriveAnswer {
        let select = chosen.map_or(Select::All, Select::Seqs);
        let now_ms = Timestamp::now().as_millisecond();
        let fleet = self.fleet.lock().await;
        let redriven = self.spool.redrive(id, select, now_ms);
        let answer = RedriveAnswer { redriven: redriven.seqs.len(), no_room: redriven.no_room };
        // One that is not delivered to now finds them waiting when it is again.
        let _ = fleet.redriven(name, redriven.seqs);
        answer
    }

    /// Returns one destination, or all; removed ones included.
    fn destinations(&self, name: Option<&str>) -> Result<Vec<(DestinationId, String)>, Problem> {
        let mut found = self.spool.destinations();
        found.retain(|(_, known)| name.is_none_or(|name| name == known));
        match name {
            Some(name) if found.is_empty() => {
                Err(Problem::bad_request(format!("there is no destination {name}")))
            }
            _ => Ok(found),
        }
    }

    /// Returns the sequences of these events among a destination's dead letters; all of them must be there.
    async fn seqs(&self, id: DestinationId, events: &[Uuid]) -> Result<Vec<Seq>, Problem> {
        let mut wanted: Vec<Uuid> = events.to_vec();
        let mut seqs = Vec::new();
        for letter in self.spool.dead_letters(id) {
            let Some(event) = self.spool.held_event(id, letter.seq).await else { continue };
            if let Some(at) = wanted.iter().position(|wanted| *wanted == event.envelope.id) {
                wanted.swap_remove(at);
                seqs.push(letter.seq);
            }
        }
        match wanted.first() {
            Some(missing) => Err(Problem::bad_request(format!("there is no dead letter {missing}"))),
            None => Ok(seqs),
        }
    }
}

fn to_listed(destination: &str, letter: &DeadLetter, event: Option<&Event>, bodies: bool) -> Listed {
    let shown = event.filter(|_| bodies);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Listed {
        destination: destination.to_owned(),
        event: event.map(|event| event.envelope.id),
        received: time(letter.received_at_ms),
        died: time(letter.death.died_at_ms),
        attempts: letter.death.attempts,
        reason: letter.death.reason.to_string(),
        kind: event.as_ref().and_then(|event| event.envelope.attributes.kind.clone()),
        delivery_id: event.as_ref().and_then(|event| event.envelope.attributes.id.clone()),
        happened: event.as_ref().and_then(|event| event.envelope.attributes.time_ms).map(time),
        source: shown.map(|event| event.envelope.source.clone()),
        headers: shown.map(|event| {
            event.envelope.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect()
        }),
        body: shown.map(|event| text(&event.body)),
    }
}

fn time(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests;
