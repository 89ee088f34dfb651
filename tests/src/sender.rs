//! A sender of numbered events. It keeps a ledger of the accepted and refused events, and of those whose outcome it
//! does not know.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::Client;
use tokio::{task::JoinSet, time::sleep};

use crate::relay::Relay;

/// Sends events, each of which says who sent it and its number.
#[derive(Debug)]
pub struct Sender {
    url: String,
    client: Client,
    token: Option<String>,
    name: u64,
    next: AtomicU64,
    ledger: Mutex<Ledger>,
}

/// Outcomes of the events of one sender.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Events answered with 2xx, by their `visnyk-id`: these must not be lost.
    pub accepted: BTreeMap<String, Bytes>,
    /// Bodies whose connection broke before the answer: they may have been accepted or not.
    pub unknown: BTreeSet<Bytes>,
    /// Bodies known to be refused: these must not be delivered.
    pub refused: BTreeSet<Bytes>,
}

/// Outcome of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Accepted under this id.
    Accepted(String),
    /// Refused with this status; 0 if the connection was refused.
    Refused(u16),
    /// The connection broke before an answer.
    Unknown,
}

/// Senders that continue until they are stopped.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Sender {
    /// Sends to a relay.
    pub fn to(relay: &Relay) -> Arc<Self> {
        Self::with_token(relay, None)
    }

    /// Sends to a relay with a bearer token.
    pub fn with_token(relay: &Relay, token: Option<&str>) -> Arc<Self> {
        Arc::new(Self {
            url: relay.url(),
            client: relay.client(),
            token: token.map(ToOwned::to_owned),
            name: rand::random(),
            next: AtomicU64::new(1),
            ledger: Mutex::default(),
        })
    }

    /// Sends the next event.
    pub async fn send_one(&self) -> Outcome {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let body = Bytes::from(format!("{{\"sender\": {}, \"number\": {number}}}", self.name));
        let mut request = self.client.post(&self.url).body(body.clone());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let outcome = match request.send().await {
            Ok(answer) if answer.status().is_success() => {
                let id = answer.headers().get("visnyk-id").expect("an accepted event has an id");
                Outcome::Accepted(id.to_str().unwrap().to_owned())
            }
            Ok(answer) => Outcome::Refused(answer.status().as_u16()),
            Err(error) if error.is_connect() => Outcome::Refused(0),
            Err(_) => Outcome::Unknown,
        };
        let mut ledger = self.ledger.lock().unwrap();
        match &outcome {
            Outcome::Accepted(id) => {
                let before = ledger.accepted.insert(id.clone(), body);
                assert_eq!(before, None, "two events have the id {id}");
            }
            Outcome::Refused(_) => drop(ledger.refused.insert(body)),
            Outcome::Unknown => drop(ledger.unknown.insert(body)),
        }
        outcome
    }

    /// Sends an event that has to be accepted, and returns its id.
    pub async fn send_accepted(&self) -> String {
        match self.send_one().await {
            Outcome::Accepted(id) => id,
            other => panic!("the event was not accepted: {other:?}"),
        }
    }

    /// Sends so many events that have to be accepted, so many at once, and returns their ids.
    pub async fn send(&self, count: usize, concurrency: usize) -> Vec<String> {
        let events = stream::iter(0..count).map(|_| self.send_accepted());
        events.buffer_unordered(concurrency).collect().await
    }

    /// Sends without end, so many at once, through every failure.
    pub fn begin(self: &Arc<Self>, concurrency: usize) -> Load {
        let stop = Arc::<AtomicBool>::default();
        let mut tasks = JoinSet::new();
        for _ in 0..concurrency {
            let (sender, stop) = (self.clone(), stop.clone());
            tasks.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    if !matches!(sender.send_one().await, Outcome::Accepted(_)) {
                        sleep(Duration::from_millis(5)).await;
                    }
                }
            });
        }
        Load { stop, tasks }
    }

    /// Returns the outcomes so far.
    pub fn ledger(&self) -> Ledger {
        self.ledger.lock().unwrap().clone()
    }

    /// Returns the number of accepted events so far.
    pub fn accepted(&self) -> usize {
        self.ledger.lock().unwrap().accepted.len()
    }
}

impl Load {
    /// Stops sending; returns once every answer is in.
    pub async fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

/// Returns a body of this many bytes, two at least, that is JSON.
pub fn json_of(bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(bytes - 2))
}
