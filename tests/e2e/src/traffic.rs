//! Events that are sent to a relay, each with a number, on a connection each as most webhooks come; and what became
//! of them: a ledger at the sender, and the lines of the collector.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{Api, Client, ResourceExt};
use reqwest::Certificate;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use visnyk_cluster_harness::{DEADLINE, eventually, wait_until};

use visnyk_crds::WebhookRelay;

use crate::kubectl;

/// Senders of events, until [`Traffic::end`].
pub struct Traffic {
    stop: Arc<AtomicBool>,
    ledger: Arc<Mutex<Ledger>>,
    senders: JoinSet<()>,
}

/// Ledger of a sender.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Numbers of events that were answered with 2xx: none may be lost.
    pub accepted: BTreeSet<u64>,
    /// Numbers of events that were not, with the time and the reason, which says how long the answer took.
    pub refused: BTreeMap<u64, (Instant, String)>,
    /// Times of the answers with 2xx.
    pub answers: Vec<Instant>,
}

/// Interval of the events of one sender.
const PACE: Duration = Duration::from_millis(50);
/// Number of senders at once.
const SENDERS: u64 = 4;

/// Bearer token that senders send.
pub const TOKEN: &str = "let me in";

/// Returns a client as senders have it, and the URL of a relay, from its status. Of certificates it trusts those of
/// the authority that the relay publishes, and no other.
///
/// # Panics
/// When that is not known in time.
pub async fn sender(cluster: &Client, namespace: &str, relay: &str) -> (reqwest::Client, String) {
    let relays: Api<WebhookRelay> = Api::namespaced(cluster.clone(), namespace);
    let url = |one: &WebhookRelay| one.status.as_ref().and_then(|status| status.url.clone());
    let found = wait_until(&relays, relay, |one| one.is_some_and(|one| url(one).is_some())).await;
    let url = found.as_ref().and_then(url).expect("it was waited for");
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let shown = HeaderValue::try_from(format!("Bearer {TOKEN}")).expect("a header");
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .default_headers(HeaderMap::from_iter([(AUTHORIZATION, shown)]))
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_secs(10));
    if url.starts_with("https:") {
        let pem = authority(cluster, namespace, relay).await;
        builder = builder
            .tls_certs_only(Certificate::from_pem_bundle(pem.as_bytes()).expect("certificates in PEM"));
    }
    (builder.build().expect("a client"), url)
}

async fn authority(cluster: &Client, namespace: &str, relay: &str) -> String {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.clone(), namespace);
    let authority = |map: &ConfigMap| map.data.as_ref().and_then(|data| data.get("ca.crt")).cloned();
    let name = format!("{relay}-relay-ca");
    let map = wait_until(&maps, &name, |map| map.is_some_and(|map| authority(map).is_some())).await;
    map.as_ref().and_then(authority).expect("it was waited for")
}

impl Traffic {
    /// Starts to send small events to the Service of a relay.
    ///
    /// # Panics
    /// When nothing is accepted in time.
    pub async fn start(cluster: &Client, namespace: &str, relay: &str) -> Self {
        Self::start_padded(cluster, namespace, relay, 0).await
    }

    /// Starts the same, with so many bytes more in each event.
    ///
    /// # Panics
    /// As [`Traffic::start`].
    pub async fn start_padded(cluster: &Client, namespace: &str, relay: &str, padding: usize) -> Self {
        let (http, url) = sender(cluster, namespace, relay).await;
        // A pod is ready some moments before its Service leads to it.
        let first = || send(&http, &url, 0, padding);
        eventually("the first event is accepted", first, Result::is_ok).await.expect("it was waited for");
        let (stop, ledger) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Ledger>>::default());
        let next = Arc::new(AtomicU64::new(1));
        let mut senders = JoinSet::new();
        for _ in 0..SENDERS {
            let (http, url, next) = (http.clone(), url.clone(), Arc::clone(&next));
            let (stop, ledger) = (Arc::clone(&stop), Arc::clone(&ledger));
            senders.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let outcome = send(&http, &url, number, padding).await;
                    note(&mut ledger.lock().expect("no sender panics"), number, outcome);
                    sleep(PACE).await;
                }
            });
        }
        note(&mut ledger.lock().expect("no sender panics"), 0, Ok(()));
        let traffic = Self { stop, ledger, senders };
        traffic.goes_on(8).await;
        traffic
    }

    /// Returns the ledger as it is now.
    ///
    /// # Panics
    /// Not unless a sender has.
    pub fn ledger(&self) -> Ledger {
        self.ledger.lock().expect("no sender panics").clone()
    }

    /// Waits until the ledger is so.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn until(&self, what: &str, so: impl Fn(&Ledger) -> bool) {
        let waiting = async {
            while !so(&self.ledger()) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        if timeout(DEADLINE, waiting).await.is_err() {
            let Ledger { accepted, refused, .. } = self.ledger();
            panic!("{what}: waited in vain; {} accepted, refused {refused:?}", accepted.len());
        }
    }

    /// Waits until so many more events were accepted.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn goes_on(&self, count: usize) {
        let before = self.ledger().accepted.len();
        self.until("more events are accepted", |ledger| ledger.accepted.len() >= before + count).await;
    }

    /// Stops sending; returns once every answer is in.
    ///
    /// # Panics
    /// When a sender has.
    pub async fn end(mut self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.senders.join_next().await {
            ended.expect("no sender panics");
        }
        self.ledger()
    }
}

impl Ledger {
    /// Returns the longest time without an accepted event.
    pub fn longest_gap(&self) -> Duration {
        let mut answers = self.answers.clone();
        answers.sort_unstable();
        answers.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }
}

async fn send(http: &reqwest::Client, url: &str, number: u64, padding: usize) -> Result<(), String> {
    let body = format!("{{\"number\": {number}, \"padding\": \"{:padding$}\"}}", "");
    let began = Instant::now();
    let answer = http.post(url).body(body).send().await;
    let why = match answer {
        Ok(answer) if answer.status().is_success() => return Ok(()),
        Ok(answer) => answer.status().to_string(),
        Err(error) => format!("{error:?}"),
    };
    Err(format!("{why}, after {:?}", began.elapsed()))
}

fn note(ledger: &mut Ledger, number: u64, outcome: Result<(), String>) {
    match outcome {
        Ok(()) => {
            ledger.accepted.insert(number);
            ledger.answers.push(Instant::now());
        }
        Err(reason) => drop(ledger.refused.insert(number, (Instant::now(), reason))),
    }
}

/// Returns the numbers in a collector's log.
pub async fn collected(namespace: &str, pod: &Pod) -> BTreeSet<u64> {
    let name = pod.name_any();
    let args = ["exec", "-n", namespace, &name, "--", "/visnyk-collector", "tail", "--lines", "1000000"];
    // While the pod is being restarted there is nothing to read.
    let Ok(log) = kubectl::try_run("kubectl", &args).await else { return BTreeSet::new() };
    let number = |line: &str| serde_json::from_str::<Value>(line).ok()?["number"].as_u64();
    log.lines().filter_map(number).collect()
}

/// Waits until every accepted event is in the collector's log: nothing was lost.
///
/// # Panics
/// When some do not come, with their numbers.
pub async fn assert_collected(namespace: &str, collector: &Pod, ledger: &Ledger) {
    let lost = || async {
        let collected = collected(namespace, collector).await;
        ledger.accepted.difference(&collected).copied().collect::<Vec<_>>()
    };
    let what = format!("{} accepted events arrive, none is lost", ledger.accepted.len());
    eventually(&what, lost, Vec::is_empty).await;
}
