//! Assembles the relay, runs it until SIGTERM, and stops it without losing an event.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use visnyk_crds::contract::exit;
use visnyk_crds::manifest;
use visnyk_crds::valid::{Source, ValidatedRelay};
use visnyk_engine::deliver::channels::http::client::Outbound;
use visnyk_engine::deliver::channels::http::resolver::SetUpError;
use visnyk_engine::deliver::channels::http::tls::TlsError;
use visnyk_engine::deliver::fleet::Fleet;
use visnyk_engine::deliver::report::DeliveryReport;
use visnyk_engine::deliver::threads::DeliveryThreads;
use visnyk_engine::spool::Spool;
use visnyk_engine::state::{self, DestinationStatus};
use visnyk_runtime::admin::health::{Health, HealthError};
use visnyk_runtime::host::applied::AppliedManifest;
use visnyk_runtime::host::configuration::{self, Configuration, Manifest, Start};
use visnyk_runtime::observe::metrics::{ListenerMetrics, Metrics};
use visnyk_runtime::observe::{
    readiness::Readiness,
    watchdog::{BOUND, Ticker, Watchdog},
};
use visnyk_runtime::server::bind;
use visnyk_runtime::server::body::Bodies;
use visnyk_runtime::server::drain::{Drain, Signals, SignalsError};
use visnyk_runtime::server::limits::{Limits, raise_open_files};
use visnyk_runtime::server::listener::Listener;
use visnyk_runtime::server::tls::{Tls, TlsFiles};

use crate::active::Active;
use crate::admin::{self, Admin};
use crate::app::apply::{Reload, Watches};
use crate::app::open::{self, Home, HomeError};
use crate::args::RunArgs;
use crate::endpoints::{Opening, RelayEndpoints};
use crate::heartbeat;
use crate::in_flight::InFlight;
use crate::intake::{Intake, IntakeApp};
use crate::metrics::{IntakeMetrics, SpoolMetrics};
use crate::sources::{PayPalCertificates, SourceLoader};
use crate::status::Status;

/// Reason for which the relay cannot start or continue.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The data folder cannot be opened.
    #[error(transparent)]
    Home(HomeError),
    /// The health address cannot be served.
    #[error("health cannot be served")]
    Health(#[source] HealthError),
    /// The client for deliveries cannot be created.
    #[error("deliveries cannot be set up")]
    Outbound(#[source] SetUpError),
    /// The system starts no threads for deliveries.
    #[error("threads for deliveries cannot be started")]
    Threads(#[source] io::Error),
    /// TLS of the listener cannot be set up.
    #[error("trust cannot be set up")]
    Tls(#[source] TlsError),
    /// The listener's address cannot be bound.
    #[error("{address} cannot be bound")]
    Bind {
        /// Address that cannot be bound.
        address: SocketAddr,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The process was stopped before everything was delivered.
    #[error("told to go with {pending} deliveries still pending")]
    Interrupted {
        /// Number of pending events, each counted for each of its destinations.
        pending: u64,
    },
    /// Everything that could be delivered was, and some events could not.
    #[error("nothing is pending; left are {dead_lettered} dead letters and {damaged} damaged deliveries")]
    Undelivered {
        /// Number of dead letters, each event counted for each of its destinations.
        dead_lettered: u64,
        /// Number of events that can no longer be read.
        damaged: u64,
    },
    /// Signal handlers cannot be installed.
    #[error(transparent)]
    Signals(#[from] SignalsError),
}

/// Maximum duration for deliveries in flight to end after accepting has stopped.
const FINISH: Duration = Duration::from_secs(20);
/// Interval of checks for pending events.
const PENDING: Duration = Duration::from_millis(200);
/// Interval of checks for expired destinations, in a loop that also ticks.
const EXPIRY: Duration = Duration::from_secs(5);

/// Reason for the end of a run.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// The relay was asked to stop, or has nothing more to deliver.
    Asked,
    /// The state file can no longer be written, and only opening it again shows its content.
    StateBroken,
}

impl RunError {
    /// Returns the exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Home(error) if error.is_configuration() => exit::BAD_CONFIGURATION,
            Self::Undelivered { .. } => exit::UNDELIVERED,
            _ => 1,
        }
    }
}

/// Runs the relay until SIGTERM.
pub async fn run(args: RunArgs, start: Start<ValidatedRelay>, mut signals: Signals) -> Result<(), RunError> {
    #[cfg(debug_assertions)]
    visnyk_runtime::observe::stall::watch_file_in(&args.data_dir);
    let Start { mut manifest, problem } = start;
    let mut active = configuration_of(&manifest);
    active.record_outcome(problem.map_or(Ok(()), Err));
    while run_once(args.clone(), &manifest, &active, &mut signals).await? == Ended::StateBroken {
        warn!("beginning anew, as after a restart: the state file could not be written");
        // A manifest that cannot be used leaves the one before it active, as always.
        if let Ok(new) = configuration::load(&args.manifest, manifest::load_relay) {
            manifest = new;
            active = configuration_of(&manifest);
        }
    }
    Ok(())
}

fn configuration_of(manifest: &Manifest<ValidatedRelay>) -> Arc<Configuration<Active>> {
    Arc::new(Configuration::new(Active { valid: manifest.valid.clone(), endpoints: Vec::new() }))
}

async fn run_once(
    args: RunArgs,
    manifest: &Manifest<ValidatedRelay>,
    active: &Arc<Configuration<Active>>,
    signals: &mut Signals,
) -> Result<Ended, RunError> {
    let data_dir = args.data_dir.clone();
    // Armed before anything of these files is used, so that no change falls between.
    let watches =
        Watches::start(args.manifest.manifest.clone(), args.secrets_dir.clone(), args.peers_dir.clone())?;

    let (readiness, watchdog) = (Readiness::default(), Watchdog::new());
    let (opening, started) = (Arc::new(Opening::default()), Arc::new(AtomicBool::new(false)));
    let metrics = Metrics::new("visnyk-relay", env!("CARGO_PKG_VERSION"));
    let status = Arc::new(OnceLock::new());
    let endpoints = RelayEndpoints {
        watchdog: watchdog.clone(),
        readiness: readiness.clone(),
        metrics: metrics.clone(),
        opening: Arc::clone(&opening),
        status: Arc::clone(&status),
        started: Arc::clone(&started),
    };
    let _health =
        args.health.map(|address| Health::start(address, endpoints)).transpose().map_err(RunError::Health)?;
    let Home { spool, destinations, admin: admin_socket, lock: _lock } = tokio::select! {
        home = open::open(&data_dir, manifest, &opening, &readiness, &watchdog) => home.map_err(RunError::Home)?,
        () = signals.asked_to_go() => return Ok(Ended::Asked),
    };
    let secrets_dir = args.secrets_dir.clone();
    let address = SocketAddr::new(args.address, manifest.valid.listener.port);
    let tls = (!args.deliver_only)
        .then(|| Tls::start(tls_files(&args), (&manifest.valid.listener).into(), &readiness));
    let outbound = Outbound::system(args.peers_dir, secrets_dir.clone()).map_err(RunError::Outbound)?;
    let resolver = outbound.resolver.clone();
    let (intake_metrics, listener_metrics) = (IntakeMetrics::default(), ListenerMetrics::default());
    let certificates = PayPalCertificates::new(&outbound).map_err(RunError::Tls)?;
    let sources = SourceLoader::new(&secrets_dir, certificates, intake_metrics.clone());
    let threads = DeliveryThreads::start().map_err(RunError::Threads)?;
    let fleet = Fleet::new(&spool, outbound, watchdog.clone(), threads.handle());
    let deliveries = fleet.report();
    register(&metrics, &listener_metrics, &intake_metrics, &deliveries, &spool);
    let fleet = Arc::new(Mutex::new(fleet));
    let reload = Reload {
        manifest: args.manifest,
        applied: AppliedManifest::in_folder(&data_dir),
        secrets_dir,
        active: Arc::clone(active),
        spool: spool.clone(),
        fleet: Arc::clone(&fleet),
        sources,
        tls: tls.clone(),
    };
    reload.activate(manifest.valid.clone(), &destinations).await;
    let told = Status::of(&spool, &deliveries, active, &intake_metrics, tls.as_ref());
    let _ = status.set(told.clone());
    let stop = CancellationToken::new();
    let ticker = watchdog.register("state committer", BOUND);
    let keeper = tokio::spawn(keep_state(spool.clone(), stop.clone(), ticker));
    let admin = Admin { spool: spool.clone(), fleet: Arc::clone(&fleet), status: told };
    let admin_task = tokio::spawn(admin_socket.serve(admin::router(admin), stop.clone().cancelled_owned()));

    let app = IntakeApp::from(Intake {
        active: Arc::clone(active),
        bodies: Bodies::default(),
        in_flight: InFlight::default(),
        spool: spool.clone(),
        metrics: intake_metrics,
    });
    let hash = active.current().valid.identity.configuration_hash.clone();
    let expiry = expire(spool.clone(), Arc::clone(active), watchdog.register("expiry", BOUND));
    let mut background = vec![
        tokio::spawn(expiry).abort_handle(),
        tokio::spawn(resolver.follow()).abort_handle(),
        tokio::spawn(reload.run(watches, watchdog.register("reload", BOUND))).abort_handle(),
    ];
    let ended = if let Some(tls) = tls {
        let beats =
            heartbeat::run(Arc::clone(active), Arc::clone(&fleet), watchdog.register("heartbeat", BOUND));
        background.push(tokio::spawn(beats).abort_handle());
        let socket = bind::listen(address)
            .and_then(TcpListener::from_std)
            .map_err(|source| RunError::Bind { address, source })?;
        started.store(true, Ordering::Relaxed);
        info!(%address, hash, "listening");
        let listener = Listener {
            socket,
            tls,
            limits: Limits::default().within_open_files(raise_open_files()),
            ticker: watchdog.register("accept loop", BOUND),
            metrics: listener_metrics,
        };
        let (grace, state) = (Duration::from_secs(args.drain_grace), spool.commit_state());
        Ok(accept(listener, app, readiness, signals, grace, state).await)
    } else {
        started.store(true, Ordering::Relaxed);
        readiness.lost("listener", "delivers only");
        info!(hash, "accepting nothing, delivering what is pending");
        deliver_pending(&spool, readiness, signals).await
    };

    background.iter().for_each(tokio::task::AbortHandle::abort);
    fleet.lock().await.stop_all(FINISH).await;
    stop.cancel();
    // Neither can fail but by a panic, which has been reported where it happened.
    let _ = tokio::join!(keeper, admin_task);
    spool.close().await;
    info!("every accepted event is on disk; ending");
    ended
}

fn tls_files(args: &RunArgs) -> TlsFiles {
    TlsFiles {
        data_dir: args.data_dir.clone(),
        tls_dir: args.tls_dir.clone(),
        client_ca: None,
        secrets_dir: args.secrets_dir.clone(),
        address: args.address,
    }
}

async fn keep_state(spool: Spool, stop: CancellationToken, ticker: Ticker) {
    spool.keep_state(stop, || ticker.tick()).await;
}

fn register(
    metrics: &Metrics,
    listener: &ListenerMetrics,
    intake: &IntakeMetrics,
    deliveries: &DeliveryReport,
    spool: &Spool,
) {
    metrics.register(|registry| {
        listener.register(registry);
        intake.register(registry);
        deliveries.metrics.register(registry);
        registry.register_collector(Box::new(SpoolMetrics::new(spool, deliveries)));
    });
}

/// Accepts events until SIGTERM and the grace after it, or until the state file can no longer be written.
async fn accept(
    listener: Listener,
    app: IntakeApp,
    readiness: Readiness,
    signals: &mut Signals,
    grace: Duration,
    state: watch::Receiver<state::CommitState>,
) -> Ended {
    let drain = Drain::new();
    let ending = async {
        tokio::select! {
            () = drain.clone().on_signal(signals, readiness.clone(), grace) => Ended::Asked,
            () = broken(state) => {
                readiness.lost("state file", "cannot be written; beginning anew");
                drain.close();
                Ended::StateBroken
            }
        }
    };
    let (drained, ended) = tokio::join!(listener.serve(app, drain.clone()), ending);
    info!(connections_cut = drained.cut, "accepting no more");
    ended
}

/// Waits until the state file can no longer be written.
async fn broken(mut state: watch::Receiver<state::CommitState>) {
    let is_broken = state.wait_for(|commit_state| *commit_state == state::CommitState::Broken).await.is_ok();
    if !is_broken {
        // Nobody can say so any more.
        std::future::pending::<()>().await;
    }
}

/// Waits until nothing is pending. It fails if it is asked to stop before: the rest needs another run. It also fails
/// if something could not be delivered, so that the spool is not taken for empty.
async fn deliver_pending(
    spool: &Spool,
    readiness: Readiness,
    signals: &mut Signals,
) -> Result<Ended, RunError> {
    let sum =
        |term: fn(&DestinationStatus) -> u64| spool.snapshot().destinations.iter().map(term).sum::<u64>();
    let pending = || sum(|one| one.pending);
    let none_pending = async {
        while pending() > 0 {
            tokio::time::sleep(PENDING).await;
        }
    };
    tokio::select! {
        () = none_pending => match (sum(|one| one.dead_lettered), sum(|one| one.damaged)) {
            (0, 0) => Ok(Ended::Asked),
            (dead_lettered, damaged) => Err(RunError::Undelivered { dead_lettered, damaged }),
        },
        () = broken(spool.commit_state()) => Ok(Ended::StateBroken),
        () = Drain::new().on_signal(signals, readiness, Duration::ZERO) => {
            Err(RunError::Interrupted { pending: pending() })
        }
    }
}

/// Returns the duration for which each source remembers ids.
pub(crate) fn windows(sources: &[Source]) -> HashMap<String, Duration> {
    let window = |source: &Source| Some((source.name.clone(), source.deduplicate.as_ref()?.window));
    sources.iter().filter_map(window).collect()
}

/// Drops the events of removed destinations whose time is over.
async fn expire(spool: Spool, active: Arc<Configuration<Active>>, ticker: Ticker) {
    let mut last = Instant::now();
    loop {
        ticker.tick();
        tokio::time::sleep(EXPIRY).await;
        let active = active.current();
        let elapsed = last.elapsed();
        last += elapsed;
        for expired in spool.expire(active.valid.spool.retain_removed, elapsed, &active.valid.destinations) {
            warn!(
                destination = expired.name,
                dropped = expired.dropped,
                dead_letters = expired.dead_letters,
                "removed destination is forgotten with what it still had"
            );
        }
    }
}
