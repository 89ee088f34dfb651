//! What pods say of themselves, and how they are made to look at a changed configuration at once.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;
use serde_json::json;

use crate::build::HEALTH_PORT;
use crate::context::Context;
use crate::error::Error;
use crate::meta::{MANAGER, Owner};
use crate::report::Obstacle;

/// The annotation whose change makes a kubelet bring a pod's files up to date.
pub const NUDGE: &str = "visnyk.dev/sync";
/// A pod that has not followed after so long will not.
pub const NUDGING: Duration = Duration::from_mins(1);

/// A pod answers from memory.
const PATIENCE: Duration = Duration::from_secs(1);
/// A status names at most 64 destinations.
const LONGEST_STATUS: usize = 256 << 10;

/// Asks pods for their status.
#[derive(Clone, Debug)]
pub struct Pods(Http<HttpConnector, Empty<Bytes>>);

/// A pod, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Its name.
    pub name: String,
    /// What tells it from one of the same name.
    pub uid: String,
    /// Whether it accepts events.
    pub is_ready: bool,
    /// What it says; nothing if it does not answer.
    pub status: Option<Status>,
    /// Since when it is nudged, and for what.
    pub nudged: Option<(Timestamp, String)>,
    /// Whether this visit nudged it.
    pub is_nudged: bool,
    /// What keeps it from running, as the kubelet has it.
    pub trouble: Option<String>,
}

/// A process's `/status`, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// The configuration in force.
    pub configuration_hash: String,
    /// Why it is not the latest.
    pub manifest_problem: Option<String>,
    /// Who may send.
    pub sources: Vec<Source>,
    /// What becomes of events.
    pub destinations: Vec<Destination>,
}

/// Who may send.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// What is wrong with its secrets, so that it lets nobody in.
    pub waits_for: Option<String>,
}

/// What becomes of the events for a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Destination {
    /// Its name.
    pub name: String,
    /// `Active`, `Disabled` or `Removed`.
    pub state: String,
    /// Undelivered events.
    pub pending: u64,
    /// How long the oldest of them has waited.
    pub oldest_pending_seconds: Option<u64>,
    /// What is not there, or not usable, so that nothing is delivered.
    pub waits_for: Option<String>,
}

impl Status {
    /// The first of its sources and destinations that waits for a file, and why.
    pub fn waits(&self) -> Option<String> {
        let sources = self.sources.iter().map(|one| ("source", &one.name, &one.waits_for));
        let destinations = self.destinations.iter().map(|one| ("destination", &one.name, &one.waits_for));
        sources
            .chain(destinations)
            .find_map(|(what, name, waits_for)| Some(format!("{what} {name}: {}", waits_for.as_ref()?)))
    }
}

impl Default for Pods {
    fn default() -> Self {
        Self(Http::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http())
    }
}

impl Pods {
    /// Asks all of them at once.
    pub async fn ask(&self, pods: &[impl AsRef<Pod>]) -> Vec<Report> {
        join_all(pods.iter().map(|pod| self.report(pod.as_ref()))).await
    }

    async fn report(&self, pod: &Pod) -> Report {
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()?.parse().ok());
        let status = match address {
            Some(address) => tokio::time::timeout(PATIENCE, self.status(address)).await.ok().flatten(),
            None => None,
        };
        Report {
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            is_ready: is_ready(pod),
            status,
            nudged: pod.annotations().get(NUDGE).and_then(|value| nudged(value)),
            is_nudged: false,
            trouble: trouble(pod),
        }
    }

    async fn status(&self, address: IpAddr) -> Option<Status> {
        let host = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        let uri = format!("http://{host}:{HEALTH_PORT}/status").parse().ok()?;
        let response = self.0.get(uri).await.ok()?;
        let body = Limited::new(response.into_body(), LONGEST_STATUS).collect().await.ok()?;
        serde_json::from_slice(&body.to_bytes()).ok()
    }
}

/// What the pods of a resource say. Those that run another configuration than `hash`, or wait for files although
/// there is no obstacle, are told to look, as long as that may help.
pub async fn take_up(
    context: &Context,
    owner: &Owner,
    hash: &str,
    obstacles: &[Obstacle],
    now: Timestamp,
) -> Result<Vec<Report>, Error> {
    let mut pods = context.pods.ask(&context.watched.pods_of(owner)).await;
    for pod in &mut pods {
        if let Some(news) = pod.news(hash, obstacles, now) {
            nudge(&context.client, &owner.namespace, pod, &news, now).await?;
            pod.is_nudged = true;
        }
    }
    Ok(pods)
}

/// Changes the pod's annotation, so that its kubelet looks at its files now.
async fn nudge(
    client: &Client,
    namespace: &str,
    pod: &Report,
    news: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let since = pod.nudging_since(news).unwrap_or(now);
    let value = format!("{news} since {since} at {now}");
    let patch = json!({ "metadata": { "uid": pod.uid, "annotations": { NUDGE: value } } });
    let parameters = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    match api.patch(&pod.name, &parameters, &Patch::Merge(&patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()), // gone, or another
        Err(error) => Err(Error::api(format!("nudge pod {}", pod.name))(error)),
    }
}

impl Report {
    /// Whether it runs this configuration.
    pub fn runs(&self, hash: &str) -> bool {
        self.status.as_ref().is_some_and(|status| status.configuration_hash == hash)
    }

    /// What a nudge may bring it: another configuration, or the files that it waits for; nothing once it was nudged for
    /// that in vain.
    pub fn news(&self, hash: &str, obstacles: &[Obstacle], now: Timestamp) -> Option<String> {
        let status = self.status.as_ref()?;
        let lacks_files = || obstacles.is_empty() && status.waits().is_some();
        let news = if status.configuration_hash != hash {
            hash.to_owned()
        } else if lacks_files() {
            format!("{hash}/files")
        } else {
            return None;
        };
        let in_vain = |since: Timestamp| now.duration_since(since).unsigned_abs() > NUDGING;
        (!self.nudging_since(&news).is_some_and(in_vain)).then_some(news)
    }

    /// Since when it is nudged for this.
    fn nudging_since(&self, news: &str) -> Option<Timestamp> {
        self.nudged.as_ref().filter(|(_, nudged)| nudged == news).map(|(since, _)| *since)
    }
}

fn nudged(value: &str) -> Option<(Timestamp, String)> {
    let (news, rest) = value.split_once(" since ")?;
    let (since, _) = rest.split_once(" at ")?;
    Some((since.parse().ok()?, news.to_owned()))
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Why it does not run, where its status says so.
fn trouble(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let waiting = status.container_statuses.iter().flatten().find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref().filter(|reason| *reason != "ContainerCreating")?;
        Some(format!("{reason}: {}", waiting.message.as_deref().unwrap_or("no more is known")))
    });
    let unscheduled = || {
        let scheduled = status.conditions.iter().flatten().find(|one| one.type_ == "PodScheduled")?;
        (scheduled.status == "False")
            .then(|| scheduled.message.clone().unwrap_or_else(|| "not scheduled".into()))
    };
    waiting.or_else(unscheduled)
}
