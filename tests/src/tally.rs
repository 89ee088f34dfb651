//! A sink for a [`crate::flood`]: it keeps count of numbers instead of requests, and sees that no byte was changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Instant,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{address::Address, flood::number};

/// A running destination.
#[derive(Debug)]
pub struct Tally {
    address: Address,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What it does with events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Takes each.
    Takes,
    /// Takes most; one in sixteen only at the second attempt, one in sixty-four never.
    Picky,
    /// Takes none and never answers.
    Hangs,
    /// Takes none and says so.
    Refuses,
}

#[derive(Debug)]
struct Shared {
    manner: Mutex<Manner>,
    book: Mutex<Book>,
}

/// What came.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// How often it took each event.
    pub taken: BTreeMap<u64, u32>,
    /// Events that it once refused.
    pub refused: BTreeSet<u64>,
    /// How many bodies were not those of their event.
    pub altered: u64,
    /// When it took its first.
    pub first: Option<Instant>,
}

const PORT: u16 = 8000;

impl Tally {
    /// Starts a destination.
    pub async fn start(manner: Manner) -> Self {
        let address = Address::take();
        let socket = TcpListener::bind(address.port(PORT)).await.unwrap();
        let shared = Arc::new(Shared { manner: Mutex::new(manner), book: Mutex::default() });
        let task = tokio::spawn(serve(socket, shared.clone()));
        Self { address, shared, task }
    }

    /// Where events are sent.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address.port(PORT))
    }

    /// Does this from now on.
    pub fn set(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// What came so far.
    pub fn book(&self) -> Book {
        self.shared.book.lock().unwrap().clone()
    }

    /// When it took its first event.
    pub fn first(&self) -> Option<Instant> {
        self.shared.book.lock().unwrap().first
    }

    /// How many different events it took so far.
    pub fn taken(&self) -> usize {
        self.shared.book.lock().unwrap().taken.len()
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = socket.accept().await else { continue };
        let shared = shared.clone();
        let service = service_fn(move |request| answer(shared.clone(), request));
        // The other side may break off as it likes.
        tokio::spawn(
            async move { http1::Builder::new().serve_connection(TokioIo::new(stream), service).await },
        );
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let manner = *shared.manner.lock().unwrap();
    if manner == Manner::Hangs {
        return std::future::pending().await;
    }
    let mut response = Response::new(Full::default());
    // A body that breaks off is no delivery.
    let Ok(body) = request.into_body().collect().await else { return Ok(response) };
    if !shared.book.lock().unwrap().takes(manner, &body.to_bytes()) {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    Ok(response)
}

impl Book {
    fn takes(&mut self, manner: Manner, body: &[u8]) -> bool {
        let Some(number) = number(body) else {
            self.altered += 1;
            return true;
        };
        let is_refused = manner == Manner::Refuses
            || manner == Manner::Picky
                && (number.is_multiple_of(64) || (number % 16 == 1 && self.refused.insert(number)));
        if !is_refused {
            *self.taken.entry(number).or_default() += 1;
            self.first.get_or_insert_with(Instant::now);
        }
        !is_refused
    }
}
