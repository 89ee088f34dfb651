//! A destination of the tests: it behaves as told and keeps a ledger of the events that it accepted.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::{net::TcpStream, time::sleep};

use crate::{
    address::Address,
    server::{Serve, Server},
    wait::eventually,
};

/// A destination that runs in this process.
#[derive(Debug)]
pub struct Sink {
    place: SocketAddr,
    _reservation: Option<Address>,
    shared: Arc<Shared>,
    _server: Server,
}

/// Reaction of a destination to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// Accepts the event with 200.
    #[default]
    Ok,
    /// Answers with this status, and with this header if there is one.
    Answer(u16, Option<(&'static str, String)>),
    /// Reads it and never answers.
    Hang,
    /// Breaks the connection off.
    Reset,
    /// Accepts the event after this time.
    Slow(Duration),
    /// Accepts every second event, and answers 500 to the others.
    Flap,
}

/// A request that arrived, with its outcome.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// `webhook-id` of the event; heartbeats have none.
    pub id: Option<String>,
    /// Headers of the request.
    pub headers: HeaderMap,
    /// Body of the request.
    pub body: Bytes,
    /// Time of the answer; of an unanswered request, the time of its arrival.
    pub at: Instant,
    /// Status of the answer; `None` if there was none.
    pub status: Option<StatusCode>,
}

#[derive(Debug, Default)]
struct Shared {
    behaviour: Mutex<Behaviour>,
    arrivals: Mutex<Vec<Arrival>>,
}

/// Port on which every sink listens.
const PORT: u16 = 8000;

impl Sink {
    /// Starts a destination that behaves so.
    pub async fn start(behaviour: Behaviour) -> Self {
        let address = Address::take();
        Self::listen(address.port(PORT), Some(address), behaviour).await
    }

    /// Starts a destination at this place.
    pub async fn start_at(place: SocketAddr, behaviour: Behaviour) -> Self {
        Self::listen(place, None, behaviour).await
    }

    async fn listen(place: SocketAddr, reservation: Option<Address>, behaviour: Behaviour) -> Self {
        let shared = Arc::new(Shared { behaviour: Mutex::new(behaviour), ..Shared::default() });
        let server = Server::start(place, shared.clone()).await;
        Self { place, _reservation: reservation, shared, _server: server }
    }

    /// Returns the URL that events are sent to.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.place)
    }

    /// Sets the behaviour from now on.
    pub fn set(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap() = behaviour;
    }

    /// Returns every request so far.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.shared.arrivals.lock().unwrap().clone()
    }

    /// Returns its ledger: each accepted event with its arrivals.
    pub fn ledger(&self) -> BTreeMap<String, Vec<Arrival>> {
        let mut ledger = BTreeMap::<_, Vec<_>>::new();
        for arrival in self.arrivals() {
            let Some(id) = arrival.id.clone() else { continue };
            if arrival.status.is_some_and(|status| status.is_success()) {
                ledger.entry(id).or_default().push(arrival);
            }
        }
        ledger
    }

    /// Waits until this many requests have arrived, and returns them.
    pub async fn attempted(&self, count: usize) -> Vec<Arrival> {
        eventually("attempts", async || self.arrivals(), |arrivals| arrivals.len() >= count).await
    }

    /// Waits until it has taken this event.
    pub async fn took(&self, id: &str) -> Vec<Arrival> {
        let taken = async || self.ledger().remove(id);
        eventually(&format!("event {id} delivered"), taken, Option::is_some).await.unwrap()
    }

    /// Waits until it has taken this many events.
    pub async fn took_events(&self, count: usize) {
        eventually("events delivered", async || self.ledger().len(), |&taken| taken >= count).await;
    }
}

impl Serve for Arc<Shared> {
    fn accept(&self, stream: TcpStream) -> Option<TcpStream> {
        if self.behaviour() != Behaviour::Reset {
            return Some(stream);
        }
        // Closing without lingering sends RST.
        let _ = stream.set_zero_linger();
        self.note(None, &HeaderMap::new(), Bytes::new(), None);
        None
    }

    async fn answer(self, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        answer(self, request).await
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let id = head.headers.get("webhook-id").map(|id| id.to_str().unwrap().to_owned());
    let (status, header) = match shared.behaviour() {
        Behaviour::Ok => (StatusCode::OK, None),
        Behaviour::Answer(status, header) => (StatusCode::from_u16(status).unwrap(), header),
        Behaviour::Slow(wait) => {
            sleep(wait).await;
            (StatusCode::OK, None)
        }
        Behaviour::Flap => {
            let even = shared.arrivals.lock().unwrap().len().is_multiple_of(2);
            (if even { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }, None)
        }
        Behaviour::Hang => {
            shared.note(id, &head.headers, body, None);
            return std::future::pending().await;
        }
        Behaviour::Reset => {
            shared.note(id, &head.headers, body, None);
            return Err(io::ErrorKind::ConnectionReset.into());
        }
    };
    shared.note(id, &head.headers, body, Some(status));
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    Ok(response)
}

impl Shared {
    fn behaviour(&self) -> Behaviour {
        self.behaviour.lock().unwrap().clone()
    }

    fn note(&self, id: Option<String>, headers: &HeaderMap, body: Bytes, status: Option<StatusCode>) {
        let arrival = Arrival { id, headers: headers.clone(), body, at: Instant::now(), status };
        self.arrivals.lock().unwrap().push(arrival);
    }
}

#[cfg(test)]
mod tests;
