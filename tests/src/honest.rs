//! Honest senders beside hostile ones: 200 events a second, each sent on time whatever the outcome of the earlier ones.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use reqwest::{Client, Response};
use tokio::time::sleep;

use crate::{client, flood::small_body, manifest::RELAY_PORT, pace::beside, relay::Relay};

/// Time between two events.
const EVERY: Duration = Duration::from_millis(5);
/// One in this number of events uses a new connection, so that connecting is measured, too.
const NEWCOMERS: u64 = 20;

/// Senders of events to one relay, from an address that no other client uses.
#[derive(Debug)]
pub struct Honest {
    url: String,
    regular: Client,
    newcomer: Client,
    next: u64,
}

/// Outcome of their events.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Times from the moment at which an event was due to its answer with 2xx.
    pub latencies: Vec<Duration>,
    /// Every other outcome, a line each.
    pub failures: Vec<String>,
}

impl Honest {
    /// Sends to this relay.
    pub fn to(relay: &Relay, from: Ipv4Addr) -> Self {
        Self::through(relay.address().port(RELAY_PORT), &relay.data_dir().join("tls/ca.crt"), from)
    }

    /// Sends to the server at this address that an authority in this file vouches for.
    pub fn through(address: SocketAddr, ca: &Path, from: Ipv4Addr) -> Self {
        let url = format!("https://localhost:{}/", address.port());
        let client = |idle| client::https_from(from, ca, address, idle);
        Self { url, regular: client(usize::MAX), newcomer: client(0), next: 1 }
    }

    /// Sends for so long.
    pub async fn send_for(&mut self, span: Duration) -> Seen {
        self.send_beside(sleep(span)).await.0
    }

    /// Sends for as long as something else takes, and returns what came of that, too.
    pub async fn send_beside<T>(&mut self, other: impl Future<Output = T>) -> (Seen, T) {
        let (outcomes, ended) = beside(EVERY, other, |due| {
            let number = self.next;
            self.next += 1;
            let client = if number.is_multiple_of(NEWCOMERS) { &self.newcomer } else { &self.regular };
            let request = client.post(&self.url).body(small_body(number));
            async move {
                let answer = request.send().await;
                told(number, answer, due.elapsed())
            }
        })
        .await;
        let mut seen = Seen::default();
        for outcome in outcomes {
            match outcome {
                Ok(latency) => seen.latencies.push(latency),
                Err(failure) => seen.failures.push(failure),
            }
        }
        (seen, ended)
    }

    /// Returns the number of events that it has sent.
    pub fn sent(&self) -> u64 {
        self.next - 1
    }
}

/// Returns the time until the answer with 2xx, or the other outcome.
fn told(number: u64, answer: reqwest::Result<Response>, took: Duration) -> Result<Duration, String> {
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(took),
        Ok(answer) => Err(format!("{number}: {}", answer.status())),
        Err(error) => Err(format!("{number}: {error:?}")),
    }
}

impl Seen {
    /// Returns the time than which 99 in 100 were faster.
    pub fn p99(&self) -> Duration {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        latencies[latencies.len() * 99 / 100]
    }
}
