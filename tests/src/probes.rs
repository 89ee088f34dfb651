//! The health address of a process under test.

use std::net::SocketAddr;

use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::{client, patience::eventually};

/// Asks a health address.
#[derive(Clone, Debug)]
pub struct Probes {
    address: SocketAddr,
    client: Client,
}

impl Probes {
    /// Of the process that shows itself here.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, client: client::http() }
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

    /// Whether it can accept.
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

    /// `/status`.
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

    /// Whether every critical loop turns.
    pub async fn alive(&self) -> bool {
        is_ok(self.get("/livez").await.as_ref())
    }
}

fn is_ok(answer: Option<&(StatusCode, String)>) -> bool {
    answer.is_some_and(|(status, _)| *status == StatusCode::OK)
}
