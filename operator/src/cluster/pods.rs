//! Pods, as they describe themselves at their status endpoint.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::StatusCode;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use visnyk_crds::contract::status::RelayStatus;
use visnyk_crds::contract::{HEALTH_PORT, paths};

use crate::children::meta::Owner;
use crate::cluster::Cluster;

/// The annotation whose change makes a kubelet bring a pod's files up to date.
pub const SYNC_ANNOTATION: &str = "visnyk.dev/sync";
/// Time after which a pod that has not synced is not waited for any more.
pub const SYNC_TIMEOUT: Duration = Duration::from_mins(1);

/// Maximum time for a pod's answer, which it makes from memory.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum size of a status in bytes; it has at most 64 destinations.
const MAX_STATUS_BYTES: usize = 256 << 10;

/// Client that asks pods for their status.
#[derive(Clone, Debug)]
pub struct Pods(Http<HttpConnector, Empty<Bytes>>);

/// A pod with the state that it reports.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Name of the pod.
    pub name: String,
    /// Unique id, which differs for a pod of the same name.
    pub uid: String,
    /// True if it accepts events.
    pub is_ready: bool,
    /// Its `/status`; a Collector's is read as one without sources and destinations. Absent: it does not answer.
    pub status: Option<RelayStatus>,
    /// Time since which a sync is requested, and what it may bring.
    pub sync_requested: Option<(Timestamp, String)>,
    /// True if this reconcile requested a sync of it.
    pub is_sync_requested: bool,
    /// Reason that it does not run, from the kubelet, or that it accepts no events, from itself.
    pub trouble: Option<String>,
}

/// Validity period of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Start of the period; absent if the pod does not say so.
    pub not_before: Option<Timestamp>,
    /// End of the period.
    pub not_after: Timestamp,
}

/// Returns the life of the certificate that pods show; of several the one that ends first.
pub fn shown(pods: &[Report]) -> Option<Life> {
    let lives = pods.iter().filter_map(|pod| certificate(pod.status.as_ref()?));
    lives.min_by_key(|life| life.not_after)
}

/// Returns the life of the certificate that a process shows.
fn certificate(status: &RelayStatus) -> Option<Life> {
    let time = |text: &Option<String>| text.as_ref()?.parse().ok();
    let not_after = time(&status.process.certificate_not_after)?;
    Some(Life { not_before: time(&status.process.certificate_not_before), not_after })
}

/// Returns which sources and destinations wait for a file, each with the reason.
pub fn waits(status: &RelayStatus) -> Vec<String> {
    let sources = status.sources.iter().filter_map(|one| {
        Some(format!("source {:?} accepts no request: {}", one.name, one.waits_for.as_ref()?))
    });
    let destinations = status.destinations.iter().filter_map(|one| {
        Some(format!("destination {:?} gets nothing: {}", one.name, one.waits_for.as_ref()?))
    });
    sources.chain(destinations).collect()
}

impl Default for Pods {
    #[expect(clippy::disallowed_methods, reason = "the API server names the addresses of the pods")]
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
        let is_ready = is_ready(pod);
        let asked = async {
            let Some(address) = address else { return (None, None) };
            let reasons = async { if is_ready { None } else { self.unready(address).await } };
            tokio::join!(self.status(address), reasons)
        };
        let (status, unready) = tokio::time::timeout(TIMEOUT, asked).await.unwrap_or_default();
        Report {
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            is_ready,
            status,
            sync_requested: pod.annotations().get(SYNC_ANNOTATION).and_then(|value| sync_requested(value)),
            is_sync_requested: false,
            trouble: trouble(pod).or(unready),
        }
    }

    async fn status(&self, address: IpAddr) -> Option<RelayStatus> {
        let (_, body) = self.get(address, paths::STATUS).await?;
        serde_json::from_slice(&body).ok()
    }

    /// Returns what a pod waits for before it accepts events; absent if it waits for nothing.
    async fn unready(&self, address: IpAddr) -> Option<String> {
        let (status, body) = self.get(address, paths::READYZ).await?;
        let reasons = String::from_utf8(body.to_vec()).ok()?;
        (status == StatusCode::SERVICE_UNAVAILABLE).then(|| reasons.trim().replace('\n', "; "))
    }

    async fn get(&self, address: IpAddr, path: &str) -> Option<(StatusCode, Bytes)> {
        let at = SocketAddr::new(address, HEALTH_PORT);
        let response = self.0.get(format!("http://{at}{path}").parse().ok()?).await.ok()?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_STATUS_BYTES).collect().await.ok()?;
        Some((status, body.to_bytes()))
    }
}

/// Asks the pods of a resource for their status. Once in a reconcile: what is decided by the answers and what is reported
/// of them must agree.
pub async fn ask(cluster: &Cluster, owner: &Owner) -> Vec<Report> {
    cluster.pods.ask(&cluster.watched.pods_of(owner)).await
}

/// Returns whether the Service has to lead to pods that are not ready, so that senders get their answer (503 with
/// Retry-After) instead of a refused connection: no pod is ready, and one answers that its storage takes nothing.
pub fn only_refuse(pods: &[Report]) -> bool {
    let refuses = |status: &RelayStatus| status.process.storage_problem.is_some();
    !pods.iter().any(|pod| pod.is_ready) && pods.iter().any(|pod| pod.status.as_ref().is_some_and(refuses))
}

impl Report {
    /// Returns whether it runs this configuration.
    pub fn runs(&self, hash: &str) -> bool {
        self.status.as_ref().is_some_and(|status| status.process.configuration_hash == hash)
    }

    /// Returns what a sync may bring it: another configuration, the files that it waits for, or Secrets that have just
    /// changed. Absent once a sync was requested for that in vain. A pod does not tell which Secrets it has.
    pub fn news(
        &self,
        hash: &str,
        are_files_there: bool,
        secrets_changed: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<String> {
        let status = self.status.as_ref()?;
        let runs = status.process.configuration_hash == hash;
        let lacks_files = runs && are_files_there && !waits(status).is_empty();
        let news = [
            (!runs).then(|| hash.to_owned()),
            lacks_files.then(|| format!("{hash}/files")),
            secrets_changed.map(|at| format!("secrets/{at}")),
        ];
        let in_vain = |since: Timestamp| now.duration_since(since).unsigned_abs() > SYNC_TIMEOUT;
        let helps = |news: &String| !self.sync_requested_since(news).is_some_and(in_vain);
        news.into_iter().flatten().find(helps)
    }

    /// Returns since when a sync is requested for this.
    pub fn sync_requested_since(&self, news: &str) -> Option<Timestamp> {
        self.sync_requested
            .as_ref()
            .filter(|(_, sync_requested)| sync_requested == news)
            .map(|(since, _)| *since)
    }
}

fn sync_requested(value: &str) -> Option<(Timestamp, String)> {
    let (news, rest) = value.split_once(" since ")?;
    let (since, _) = rest.split_once(" at ")?;
    Some((since.parse().ok()?, news.to_owned()))
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Returns why it does not run, where its status says so.
fn trouble(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let waiting = status.container_statuses.iter().flatten().find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref().filter(|reason| *reason != "ContainerCreating")?;
        let ended = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        let ended = ended.map(|end| {
            let why = end.reason.as_deref().unwrap_or("ended");
            format!("; its last run: {why}, exit code {}", end.exit_code)
        });
        let message = waiting.message.as_deref().unwrap_or("the kubelet says no more");
        Some(format!("{reason}: {message}{}", ended.unwrap_or_default()))
    });
    let failed = || {
        let why = status.reason.as_deref().filter(|_| status.phase.as_deref() == Some("Failed"))?;
        Some(format!("{why}: {}", status.message.as_deref().unwrap_or("the kubelet says no more")))
    };
    let unscheduled = || {
        let scheduled = status.conditions.iter().flatten().find(|one| one.type_ == "PodScheduled")?;
        (scheduled.status == "False")
            .then(|| scheduled.message.clone().unwrap_or_else(|| "not scheduled".into()))
    };
    waiting.or_else(failed).or_else(unscheduled)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use serde_json::{Value, json};
    use visnyk_runtime::admin::health::{Health, HealthEndpoints};

    use super::*;

    /// A relay whose disk is full.
    struct Full;

    impl HealthEndpoints for Full {
        fn live(&self) -> Vec<String> {
            Vec::new()
        }

        fn ready(&self) -> Vec<String> {
            vec!["certificate: tls.key holds no private key".into(), "journal: full".into()]
        }

        fn started(&self) -> Vec<String> {
            Vec::new()
        }

        fn metrics(&self) -> String {
            String::new()
        }

        fn status(&self) -> Value {
            json!({ "configurationHash": "a hash", "certificateNotAfter": null, "stateLost": true, "new": 1 })
        }
    }

    #[test]
    fn why_a_pod_does_not_run_is_in_the_words_of_who_knows() {
        let told = |status: Value| trouble(&serde_json::from_value(json!({ "status": status })).unwrap());
        let container = |state: Value, last: Value| {
            let fields =
                json!({ "image": "", "imageID": "", "name": "relay", "ready": false, "restartCount": 3 });
            let mut one = fields;
            (one["state"], one["lastState"]) = (state, last);
            json!({ "containerStatuses": [one] })
        };
        let waiting = |reason: &str| json!({ "waiting": { "reason": reason, "message": "back-off" } });
        let killed = json!({ "terminated": { "reason": "OOMKilled", "exitCode": 137 } });
        let expected = "CrashLoopBackOff: back-off; its last run: OOMKilled, exit code 137";
        assert_eq!(told(container(waiting("CrashLoopBackOff"), killed)).as_deref(), Some(expected));
        assert_eq!(
            told(container(waiting("ErrImagePull"), json!({}))).as_deref(),
            Some("ErrImagePull: back-off")
        );
        assert_eq!(told(container(waiting("ContainerCreating"), json!({}))), None);
        let evicted = json!({ "phase": "Failed", "reason": "Evicted", "message": "low on memory" });
        assert_eq!(told(evicted).as_deref(), Some("Evicted: low on memory"));
    }

    #[tokio::test]
    async fn pod_that_is_not_ready_is_asked_what_it_waits_for() {
        let [a, b, c]: [u8; 3] = rand::random();
        let address = Ipv4Addr::new(127, a.max(1), b, c.max(1));
        let _health = Health::start((address, HEALTH_PORT).into(), Full).unwrap();
        let pod = |ready: &str| {
            let conditions = json!([{ "type": "Ready", "status": ready }]);
            let status = json!({ "podIP": address, "conditions": conditions });
            serde_json::from_value::<Pod>(json!({ "metadata": { "name": "a" }, "status": status })).unwrap()
        };
        let pods = [pod("False"), pod("True")].map(std::sync::Arc::new);
        let reports = Pods::default().ask(&pods).await;
        let status = reports[0].status.clone().unwrap();
        assert_eq!((&status.process.configuration_hash[..], status.state_lost), ("a hash", true));
        let waits = "certificate: tls.key holds no private key; journal: full";
        let troubles: Vec<_> = reports.iter().map(|report| report.trouble.as_deref()).collect();
        assert_eq!(troubles, [Some(waits), None]);
    }
}
