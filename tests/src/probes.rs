//! The health address of a process under test.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::{client, wait::eventually};

/// Maximum time after which `/livez` fails once a loop hangs.
const BOUND: Duration = Duration::from_secs(30);

/// Asks a health address.
#[derive(Clone, Debug)]
pub struct Probes {
    address: SocketAddr,
    client: Client,
}

impl Probes {
    /// Makes a client of the process whose health endpoints are at this address.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, client: client::http() }
    }

    /// Makes the same with an HTTP client of its own: for another runtime.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self::new(self.address)
    }

    /// Status and body of a path such as `/readyz`; none while nobody answers.
    pub async fn get(&self, path: &str) -> Option<(StatusCode, String)> {
        let answer = self.client.get(format!("http://{}{path}", self.address)).send().await.ok()?;
        Some((answer.status(), answer.text().await.ok()?))
    }

    /// Waits until the process says that it is ready.
    pub async fn ready(&self) {
        eventually("ready", async || self.get("/readyz").await, |answer| is_ok(answer.as_ref())).await;
    }

    /// Returns whether the process can accept.
    pub async fn is_ready(&self) -> bool {
        is_ok(self.get("/readyz").await.as_ref())
    }

    /// Waits until the process says that it has started, ready or not.
    pub async fn started(&self) {
        eventually("started", async || self.get("/startupz").await, |answer| is_ok(answer.as_ref())).await;
    }

    /// Waits until the process says that it is not ready, and returns why.
    pub async fn unready(&self) -> String {
        let unready = |answer: &Option<(StatusCode, String)>| {
            answer.as_ref().is_some_and(|(status, _)| *status == StatusCode::SERVICE_UNAVAILABLE)
        };
        eventually("not ready", async || self.get("/readyz").await, unready).await.unwrap().1
    }

    /// Returns the content of `/status`.
    pub async fn status(&self) -> Value {
        let (status, body) = self.get("/status").await.expect("the process answers");
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }

    /// Waits for a status.
    pub async fn until(&self, what: &str, satisfies: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || self.status().await, satisfies).await
    }

    /// Waits until another configuration than this hash is in force.
    pub async fn until_other_configuration(&self, hash: &Value) -> Value {
        self.until("another configuration", |status| status["configurationHash"] != *hash).await
    }

    /// Returns whether every critical loop turns.
    pub async fn alive(&self) -> bool {
        is_ok(self.get("/livez").await.as_ref())
    }

    /// Waits until the process says that these loops hang, which they have begun to.
    ///
    /// # Panics
    /// When that takes longer than it may.
    pub async fn notice_hung(&self, names: &[&str]) {
        let begun = Instant::now();
        let not_alive = async || self.get("/livez").await.filter(|(status, _)| status.is_server_error());
        let all_named = |dead: &Option<(StatusCode, String)>| {
            dead.as_ref().is_some_and(|(_, said)| names.iter().all(|name| said.contains(name)))
        };
        eventually("not alive", not_alive, all_named).await;
        let took = begun.elapsed();
        eprintln!("{names:?} hang: noticed after {took:?}");
        assert!(took < BOUND, "{took:?}");
    }
}

fn is_ok(answer: Option<&(StatusCode, String)>) -> bool {
    answer.is_some_and(|(status, _)| *status == StatusCode::OK)
}
