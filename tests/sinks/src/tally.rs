//! A sink for very many events: it counts event numbers instead of keeping requests, and checks that no byte was
//! changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::{net::TcpStream, time::sleep};

use crate::{
    address::Address,
    numbered::number,
    server::{Serve, Server},
};

/// A destination that counts events and keeps no bodies.
#[derive(Debug)]
pub struct Tally {
    address: Address,
    shared: Arc<Shared>,
    _server: Server,
}

/// Reaction of a destination to events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// Accepts each event with 200.
    #[default]
    Takes,
    /// Accepts most events; one in sixteen only at the second attempt, and one in sixty-four never.
    Picky,
    /// Accepts no event and never answers.
    Hangs,
    /// Refuses every event with 500.
    Refuses,
    /// Accepts each event, but one in a hundred only at the second attempt.
    Errs,
    /// Resets three in ten connections before it answers.
    BreaksOff,
    /// Answers each event with a redirect to this URL.
    Redirects(String),
    /// Accepts each event after this time.
    Late(Duration),
    /// Accepts each event for two seconds, then none for two.
    Flaps,
    /// Accepts one event after the other, each after this time.
    OneByOne(Duration),
}

#[derive(Debug, Default)]
struct Shared {
    manner: Mutex<Manner>,
    book: Mutex<Book>,
    counter: tokio::sync::Mutex<()>,
    present: AtomicUsize,
}

/// Record of the received requests.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// Number of times that it took each event.
    pub taken: BTreeMap<u64, u32>,
    /// Events that it once refused.
    pub refused: BTreeSet<u64>,
    /// Number of bodies that were not those of their event.
    pub altered: u64,
    /// Time of the first accepted event.
    pub first: Option<Instant>,
    /// Time at which each event was first accepted.
    pub taken_at: BTreeMap<u64, Instant>,
    /// Maximum number of requests that were open at once.
    pub crowd: usize,
}

const PORT: u16 = 8000;
/// Length of each half of [`Manner::Flaps`].
const FLAP: Duration = Duration::from_secs(2);

impl Tally {
    /// Starts a destination that behaves so.
    pub async fn start(manner: Manner) -> Self {
        Self::start_at(Address::take(), manner).await
    }

    /// Returns the URL of one that is started later at this address.
    pub fn url_at(address: &Address) -> String {
        format!("http://{}/hook", address.port(PORT))
    }

    /// Starts a destination at an address where there was none.
    pub async fn start_at(address: Address, manner: Manner) -> Self {
        let shared = Arc::new(Shared { manner: Mutex::new(manner), ..Shared::default() });
        let server = Server::start(address.port(PORT), shared.clone()).await;
        Self { address, shared, _server: server }
    }

    /// Returns the URL that events are sent to.
    pub fn url(&self) -> String {
        Self::url_at(&self.address)
    }

    /// Sets the reaction from now on.
    pub fn set(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// Returns the requests that came so far.
    pub fn book(&self) -> Book {
        self.shared.book.lock().unwrap().clone()
    }

    /// Returns the time at which it took its first event.
    pub fn first(&self) -> Option<Instant> {
        self.shared.book.lock().unwrap().first
    }

    /// Returns the number of different events that it took so far.
    pub fn taken(&self) -> usize {
        self.shared.book.lock().unwrap().taken.len()
    }
}

type Answer = Response<Full<Bytes>>;

impl Serve for Arc<Shared> {
    fn accept(&self, stream: TcpStream) -> Option<TcpStream> {
        Some(stream)
    }

    async fn answer(self, request: Request<Incoming>) -> io::Result<Answer> {
        answer(self, request).await
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Answer> {
    let manner = shared.manner.lock().unwrap().clone();
    match manner {
        Manner::Hangs => return std::future::pending().await,
        Manner::Late(wait) => sleep(wait).await,
        Manner::OneByOne(work) => {
            let present = shared.present.fetch_add(1, Ordering::SeqCst) + 1;
            shared.book.lock().unwrap().sees(present);
            let _alone = shared.counter.lock().await;
            sleep(work).await;
            shared.present.fetch_sub(1, Ordering::SeqCst);
        }
        Manner::BreaksOff if rand::random_ratio(3, 10) => return Err(io::ErrorKind::ConnectionReset.into()),
        _ => {}
    }
    // A body that breaks off is no delivery.
    let Ok(body) = request.into_body().collect().await else { return Ok(status(StatusCode::OK)) };
    if shared.book.lock().unwrap().takes(&manner, &body.to_bytes()) {
        return Ok(status(StatusCode::OK));
    }
    let Manner::Redirects(elsewhere) = manner else { return Ok(status(StatusCode::INTERNAL_SERVER_ERROR)) };
    let mut response = status(StatusCode::TEMPORARY_REDIRECT);
    response.headers_mut().insert(header::LOCATION, elsewhere.parse().unwrap());
    Ok(response)
}

fn status(status: StatusCode) -> Answer {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

impl Book {
    fn takes(&mut self, manner: &Manner, body: &[u8]) -> bool {
        let Some(number) = number(body) else {
            self.altered += 1;
            return true;
        };
        let is_refused = match manner {
            Manner::Takes | Manner::Late(_) | Manner::BreaksOff | Manner::OneByOne(_) => false,
            Manner::Refuses | Manner::Redirects(_) | Manner::Hangs => true,
            Manner::Picky => number.is_multiple_of(64) || number % 16 == 1 && self.refused.insert(number),
            Manner::Errs => number.is_multiple_of(100) && self.refused.insert(number),
            Manner::Flaps => self.is_in_a_bad_phase(),
        };
        if !is_refused {
            let now = Instant::now();
            *self.taken.entry(number).or_default() += 1;
            self.taken_at.entry(number).or_insert(now);
            self.first.get_or_insert(now);
        }
        !is_refused
    }

    fn sees(&mut self, present: usize) {
        self.crowd = self.crowd.max(present);
    }

    fn is_in_a_bad_phase(&mut self) -> bool {
        let since = self.first.map_or(Duration::ZERO, |first| first.elapsed());
        since.as_secs() / FLAP.as_secs() % 2 == 1
    }
}
