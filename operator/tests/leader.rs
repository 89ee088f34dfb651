//! The election, on a real API server: who writes, when nobody does, and how soon the next one does.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::filter::FilterLayer;
use visnyk_cluster_harness::{AuditLog, install, with_temp_ns};
use visnyk_crds::schema::definition;
use visnyk_crds::{Collector, WebhookRelay};
use visnyk_operator::process::args::{Images, RunArgs};
use visnyk_operator::process::fence::Fence;
use visnyk_operator::process::leader::{Election, Ended, Timing};
use visnyk_operator::process::run::{self, ControllerDeps, RunError};
use visnyk_runtime::observe::watchdog::Watchdog;
use visnyk_runtime::server::drain::Signals;

const LEASE: &str = "visnyk-operator";
const TIMING: Timing = Timing {
    lease: Duration::from_secs(4),
    renew: Duration::from_secs(2),
    retry: Duration::from_millis(200),
};

/// An operator that writes a `ConfigMap` of its name whenever it may, like a controller with much to do.
struct Candidate {
    stop: CancellationToken,
    /// Says when it began to work.
    leads: oneshot::Receiver<Instant>,
    ended: JoinHandle<Ended<()>>,
    fence: Fence,
}

fn candidate(client: Client, namespace: &str, name: &'static str) -> Candidate {
    let (stop, fence) = (CancellationToken::new(), Fence::default());
    let (begun, leads) = oneshot::channel();
    let leases: Api<Lease> = Api::namespaced(client, namespace);
    let mut election = Election::new(leases, LEASE, name, TIMING);
    let ended = tokio::spawn({
        let (stop, fence) = (stop.clone(), fence.clone());
        async move {
            let ticker = Watchdog::new().register("election", TIMING.lease);
            let work = async {
                begun.send(Instant::now()).expect("the test waits for it");
                std::future::pending::<()>().await;
            };
            election.lead(&fence, &stop, &ticker, work).await
        }
    });
    Candidate { stop, leads, ended, fence }
}

/// Returns a client whose requests fail while the switch is on, as when the network is cut.
async fn cuttable() -> (Client, Arc<AtomicBool>) {
    let cut = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&cut);
    let through = move |request: http::Request<Body>| {
        if switch.load(Ordering::Relaxed) { Err(std::io::Error::other("cut")) } else { Ok(request) }
    };
    let config = Config::infer().await.expect("a cluster");
    let layer = FilterLayer::new(move |request| through(request).map_err(tower::BoxError::from));
    (ClientBuilder::try_from(config).expect("a client").with_layer(&layer).build(), cut)
}

async fn holder(leases: &Api<Lease>) -> Option<String> {
    leases.get(LEASE).await.expect("the lease").spec.and_then(|spec| spec.holder_identity)
}

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn one_leads_and_gives_the_lease_to_the_next_when_it_is_stopped() {
    with_temp_ns(async |client, namespace| {
        let leases: Api<Lease> = Api::namespaced(client.clone(), &namespace);
        let first = candidate(client.clone(), &namespace, "first");
        timeout(SOON, first.leads).await.expect("nobody else wants it").unwrap();
        assert!(first.fence.is_open());
        let mut second = candidate(client.clone(), &namespace, "second");
        let waited = timeout(TIMING.lease * 2, &mut second.leads).await;
        assert!(waited.is_err(), "a second one leads beside the first, which renews");
        assert!(!second.fence.is_open());
        assert_eq!(holder(&leases).await.as_deref(), Some("first"));

        first.stop.cancel();
        assert_eq!(first.ended.await.unwrap(), Ended::Stopped);
        assert!(!first.fence.is_open());
        let stopped = Instant::now();
        let began = timeout(SOON, second.leads).await.expect("the lease was given back").unwrap();
        assert!(began - stopped < TIMING.lease / 2, "it waited for a lease that was given back");
        assert_eq!(holder(&leases).await.as_deref(), Some("second"));
        second.stop.cancel();
        assert_eq!(second.ended.await.unwrap(), Ended::Stopped);
        assert_eq!(holder(&leases).await, None);
    })
    .await;
}

#[tokio::test]
async fn leader_that_cannot_renew_has_stopped_before_another_begins() {
    with_temp_ns(async |client, namespace| {
        let (its_own, cut) = cuttable().await;
        let first = candidate(its_own, &namespace, "first");
        timeout(SOON, first.leads).await.expect("nobody else wants it").unwrap();
        let second = candidate(client, &namespace, "second");
        cut.store(true, Ordering::Relaxed);
        let was_cut = Instant::now();
        assert_eq!(first.ended.await.unwrap(), Ended::Lost);
        let gave_up = Instant::now();
        assert!(!first.fence.is_open());
        assert!(gave_up - was_cut <= TIMING.renew + TIMING.retry, "{:?}", gave_up - was_cut);
        let began = timeout(SOON, second.leads).await.expect("the lease expires").unwrap();
        // What the two spans differ by, less the two seconds between its tries.
        assert!(began - gave_up >= TIMING.lease.saturating_sub(TIMING.renew) / 2, "{:?}", began - gave_up);
    })
    .await;
}

#[tokio::test]
async fn deposed_leader_writes_nothing_more() {
    with_temp_ns(async |client, namespace| {
        let first = candidate(client.clone(), &namespace, "first");
        timeout(SOON, first.leads).await.expect("nobody else wants it").unwrap();
        let fenced = first.fence.client(Config::infer().await.unwrap()).unwrap();
        let maps: Api<ConfigMap> = Api::namespaced(fenced, &namespace);
        // In a task of its own, which nothing ends: only the fence can hold it.
        let log = AuditLog::from_now().unwrap();
        let writing = tokio::spawn({
            let maps = maps.clone();
            async move {
                for turn in 0.. {
                    let map = json!({"metadata": {"name": "kept"}, "data": {"turn": format!("{turn}")}});
                    let map: ConfigMap = serde_json::from_value(map).unwrap();
                    let _ = maps.create(&PostParams::default(), &map).await;
                    sleep(Duration::from_millis(20)).await;
                }
            }
        });
        let leases: Api<Lease> = Api::namespaced(client, &namespace);
        let stolen = json!({"spec": {"holderIdentity": "another"}});
        leases.patch(LEASE, &PatchParams::default(), &Patch::Merge(&stolen)).await.unwrap();
        assert_eq!(first.ended.await.unwrap(), Ended::Lost);
        let tries = || {
            log.writes_in(&namespace).unwrap().into_iter().filter(|event| {
                event
                    .object_ref
                    .as_ref()
                    .is_some_and(|object| object.resource == "configmaps" && object.name == "kept")
            })
        };
        // What was under way when the lease went.
        sleep(Duration::from_millis(300)).await;
        let before = tries().count();
        assert!(before > 1, "it wrote while it led");
        sleep(Duration::from_secs(1)).await;
        assert_eq!(tries().count(), before);
        assert!(maps.get("kept").await.is_ok(), "reading needs no lease");
        assert!(!writing.is_finished());
        writing.abort();
    })
    .await;
}

/// Starts an operator whose controllers do nothing but say with which client each term begins.
fn operator(namespace: &str) -> (JoinHandle<Result<(), RunError>>, mpsc::UnboundedReceiver<Client>) {
    let (begun, terms) = mpsc::unbounded_channel();
    let args = RunArgs {
        images: Images { relay: "relay:test".into(), collector: "collector:test".into() },
        watch_namespaces: vec![namespace.to_owned()],
        lease_namespace: Some(namespace.to_owned()),
        identity: "first".into(),
        health: None,
        log_format: None,
    };
    let controllers = move |deps: ControllerDeps| {
        begun.send(deps.client).expect("the test waits for it");
        std::future::pending()
    };
    let signals = Signals::listen().unwrap();
    (tokio::spawn(run::run(args, signals, controllers)), terms)
}

#[tokio::test]
async fn deposed_operator_waits_and_leads_again_in_the_same_process() {
    with_temp_ns(async |client, namespace| {
        install(&client, &definition::<WebhookRelay>()).await.unwrap();
        install(&client, &definition::<Collector>()).await.unwrap();
        let leases: Api<Lease> = Api::namespaced(client.clone(), &namespace);
        let give = async |holder: Option<&str>| {
            let patch = json!({"spec": {"holderIdentity": holder}});
            leases.patch(LEASE, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        };
        let write = async |client: &Client| {
            let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
            let map = serde_json::from_value(json!({"metadata": {"generateName": "term-"}})).unwrap();
            maps.create(&PostParams::default(), &map).await.map(drop)
        };
        let (running, mut terms) = operator(&namespace);
        let first = timeout(SOON, terms.recv()).await.expect("nobody else wants it").unwrap();
        write(&first).await.unwrap();

        give(Some("another")).await;
        let deposed = Instant::now();
        while write(&first).await.is_ok() {
            assert!(deposed.elapsed() < SOON, "it goes on writing");
            sleep(Duration::from_millis(100)).await;
        }
        sleep(Duration::from_secs(5)).await;
        assert!(terms.is_empty() && !running.is_finished());
        assert!(write(&first).await.is_err());

        give(None).await;
        let second = timeout(SOON, terms.recv()).await.expect("nobody holds it any more").unwrap();
        write(&second).await.unwrap();
        assert_eq!(holder(&leases).await.as_deref(), Some("first"));
        running.abort();
    })
    .await;
}
