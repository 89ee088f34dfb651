//! A redrive whose caller goes away before it is kept, and one beside a change of the configuration.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use futures::FutureExt;
use http::StatusCode;
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use visnyk_crds::manifest;
use visnyk_crds::valid::Destination;
use visnyk_engine::deliver::channels::http::client::Outbound;
use visnyk_engine::event::Envelope;
use visnyk_engine::triage::Ruling;
use visnyk_runtime::host::configuration::Configuration;
use visnyk_runtime::observe::watchdog::{BOUND, Watchdog};

use super::*;
use crate::active::Active;
use crate::metrics::IntakeMetrics;
use crate::sources::{PayPalCertificates, SourceLoader};

/// Longer than a busy machine takes, and than a commit waits for a state file that somebody else writes to.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A destination that answers as it is told.
struct Sink {
    url: String,
    answer: Arc<AtomicU16>,
    requests: mpsc::UnboundedReceiver<()>,
}

impl Sink {
    async fn start(answer: u16) -> Self {
        let (arrived, requests) = mpsc::unbounded_channel();
        let answer = Arc::new(AtomicU16::new(answer));
        let now = Arc::clone(&answer);
        let router = Router::new().fallback(move || async move {
            arrived.send(()).unwrap();
            StatusCode::from_u16(now.load(Ordering::SeqCst)).unwrap()
        });
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}/", socket.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(socket, router).await });
        Self { url, answer, requests }
    }

    async fn is_tried(&mut self) {
        tokio::time::timeout(TIMEOUT, self.requests.recv()).await.expect("a request in time").unwrap();
    }
}

/// A relay that gives up each event after one attempt, without a listener; and its destination.
async fn admin(folder: &Path, url: &str) -> (Admin, [(DestinationId, Destination); 1]) {
    let manifest = json!({
        "apiVersion": "visnyk.dev/v1alpha1",
        "kind": "WebhookRelay",
        "metadata": {"name": "monitoring"},
        "spec": {
            "listener": {"tls": {"selfSigned": {}}},
            "spool": {"persistent": {"size": "64Mi"}},
            "sources": [{"name": "network", "path": "/", "verify": {"none": {}}}],
            "destinations": [{
                "name": "sink",
                "url": url,
                "network": {"allow": ["127.0.0.0/8"]},
                "retry": {"schedule": ["0s"]},
            }],
        },
    });
    let valid = manifest::load_relay(&manifest.to_string(), None).unwrap();
    let watchdog = Watchdog::new();
    let ticker = watchdog.register("journal writer", BOUND);
    let spool = Spool::open(folder, valid.spool.kind, valid.listener.max_body_size, ticker).await.unwrap();
    let destinations: [_; 1] = spool.configure(&valid.destinations).await.unwrap().try_into().unwrap();
    let outbound = Outbound::system("/nonexistent".into(), "/nonexistent".into()).unwrap();
    let fleet = Fleet::new(&spool, outbound, watchdog, tokio::runtime::Handle::current());
    let deliveries = fleet.report();
    let fleet = Arc::new(Mutex::new(fleet));
    Fleet::apply(&fleet, &destinations, Ruling::default()).await;
    let metrics = IntakeMetrics::default();
    let sources = SourceLoader::new(folder, PayPalCertificates::none(), metrics.clone());
    let active = Arc::new(Configuration::new(Active::load(valid, &sources)));
    let status = Status::of(&spool, &deliveries, &active, &metrics, None);
    (Admin { spool, fleet, status }, destinations)
}

fn event() -> Event {
    let envelope = Envelope {
        id: Uuid::from_u128(7),
        received_at_ms: 1,
        steady_ms: 1,
        source: "network".into(),
        target: "/".into(),
        headers: vec![],
        attributes: Box::default(),
    };
    Event { envelope, body: "{}".into() }
}

/// Makes the next commit wait for as long as this lives, or until it gives up.
async fn hold_up_commits(folder: &Path) -> SqliteConnection {
    let file = folder.join("state.db");
    let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    connection
}

/// Lets an event come and be given up.
async fn dies(admin: &Admin, id: DestinationId) {
    admin.spool.append(&event().as_new(), None).await.unwrap();
    while admin.spool.dead_letters(id).is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn redriven_events_are_tried_although_the_caller_went_away() {
    let mut sink = Sink::start(500).await;
    let folder = tempfile::tempdir().unwrap();
    let (admin, [(id, _)]) = admin(folder.path(), &sink.url).await;
    let admin = Arc::new(admin);
    dies(&admin, id).await;
    sink.is_tried().await;

    sink.answer.store(200, Ordering::SeqCst);
    let held_up = hold_up_commits(folder.path()).await;
    let order = RedriveOrder { destination: "sink".into(), events: vec![] };
    let answer = redrive(State(Arc::clone(&admin)), Json(order)).now_or_never();
    assert!(answer.is_none(), "it waits for the commit, and whoever asked does not");
    sink.is_tried().await;
    held_up.close().await.unwrap();
}

#[tokio::test]
async fn event_that_is_redriven_while_its_destination_comes_back_is_tried_once() {
    let mut sink = Sink::start(500).await;
    let folder = tempfile::tempdir().unwrap();
    let (admin, destinations) = admin(folder.path(), &sink.url).await;
    let id = destinations[0].0;
    dies(&admin, id).await;
    sink.is_tried().await;
    sink.answer.store(200, Ordering::SeqCst);

    Fleet::apply(&admin.fleet, &[], Ruling::default()).await;
    Fleet::apply(&admin.fleet, &destinations, Ruling::default()).await;
    // The dispatcher has not begun: it will find the event, and be told of it.
    let answer = admin.redrive(id, "sink", None).await;
    assert_eq!(answer.redriven, 1);
    sink.is_tried().await;
    let again = tokio::time::timeout(Duration::from_millis(500), sink.requests.recv()).await;
    assert!(again.is_err(), "tried twice");
}
