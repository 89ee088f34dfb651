//! Assembles the collector, runs it until SIGTERM, and stops it without losing a line.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::net::TcpListener;
use tracing::{info, warn};
use visnyk_crds::valid::ValidatedCollector;
use visnyk_runtime::{
    admin::health::{Health, HealthError},
    host::{
        applied::AppliedManifest,
        configuration::{Configuration, Manifest, Start},
        data_dir,
        file_watch::FileWatch,
        folder_lock::{FolderLock, FolderLockError},
    },
    observe::{
        metrics::{ListenerMetrics, Metrics},
        readiness::Readiness,
        watchdog::{BOUND, Watchdog},
    },
    server::{
        bind,
        body::Bodies,
        drain::{Drain, ReloadSignal, Signals, SignalsError},
        limits::{Limits, raise_open_files},
        listener::Listener,
        tls::{Tls, TlsFiles},
    },
};

use crate::{
    access::AccessMetrics,
    args::RunArgs,
    endpoints::{CollectorEndpoints, LOG, LogMetrics},
    ingest::{self, Ingest},
    log::{storage::Files, writer},
    reload::{Reload, location},
};

/// The collector cannot run, or cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The data folder cannot be created.
    #[error("data folder {} cannot be made", folder.display())]
    DataDir {
        /// Path of the folder.
        folder: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The data folder is in use by another process.
    #[error("data folder cannot be taken")]
    Lock(#[source] FolderLockError),
    /// The health address cannot be served.
    #[error("health cannot be served")]
    Health(#[source] HealthError),
    /// The listener's address cannot be bound.
    #[error("{address} cannot be bound")]
    Bind {
        /// Address that cannot be bound.
        address: SocketAddr,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The thread that writes the log cannot be started.
    #[error("cannot start the thread that writes the log")]
    Thread(#[source] io::Error),
    /// Signal handlers cannot be installed.
    #[error(transparent)]
    Signals(#[from] SignalsError),
}

/// Runs the collector until SIGTERM.
pub async fn run(
    args: RunArgs,
    start: Start<ValidatedCollector>,
    mut signals: Signals,
) -> Result<(), RunError> {
    #[cfg(debug_assertions)]
    visnyk_runtime::observe::stall::watch_file_in(&args.data_dir);
    let data_dir = args.data_dir.clone();
    data_dir::make(&data_dir).map_err(|source| RunError::DataDir { folder: data_dir.clone(), source })?;
    let _lock = FolderLock::take(&data_dir).map_err(RunError::Lock)?;
    let Start { manifest: Manifest { valid, .. }, problem } = &start;
    let applied = AppliedManifest::in_folder(&data_dir);
    // A full disk must not keep the collector from answering. The reload tries again.
    if let Err(reason) = start.manifest.keep(&applied) {
        warn!(reason, "starting all the same");
    }
    // Armed before anything of the manifest is used, so that no change falls between.
    let watch = FileWatch::start(vec![args.manifest.manifest.clone()]);
    let reload_signal = ReloadSignal::listen()?;

    let (readiness, watchdog) = (Readiness::default(), Watchdog::new());
    let metrics = Metrics::new("visnyk-collector", env!("CARGO_PKG_VERSION"));
    let files = TlsFiles {
        data_dir: data_dir.clone(),
        tls_dir: args.tls_dir,
        client_ca: args.client_ca,
        secrets_dir: args.secrets_dir,
        address: args.address,
    };
    let tls = Tls::start(files, (&valid.listener).into(), &readiness);
    let (writer, log_thread) = writer::start(
        Files,
        location(&data_dir, valid),
        watchdog.register("log writer", BOUND),
        readiness.condition(LOG, "not open yet"),
    )
    .map_err(RunError::Thread)?;
    let address = SocketAddr::new(args.address, valid.listener.port);
    let configuration = Arc::new(Configuration::new(valid.clone()));
    configuration.record_outcome(problem.clone().map_or(Ok(()), Err));
    let (listener_metrics, access) = (ListenerMetrics::default(), AccessMetrics::default());
    let started = Arc::new(AtomicBool::new(false));
    metrics.register(|registry| {
        listener_metrics.register(registry);
        access.register(registry);
        registry.register_collector(Box::new(LogMetrics(writer.clone())));
    });
    let endpoints = CollectorEndpoints {
        watchdog: watchdog.clone(),
        readiness: readiness.clone(),
        metrics,
        configuration: configuration.clone(),
        writer: writer.clone(),
        tls: tls.clone(),
        started: started.clone(),
    };
    let _health =
        args.health.map(|address| Health::start(address, endpoints)).transpose().map_err(RunError::Health)?;

    let socket = bind::listen(address)
        .and_then(TcpListener::from_std)
        .map_err(|source| RunError::Bind { address, source })?;
    started.store(true, Ordering::Relaxed);
    info!(%address, hash = configuration.current().identity.configuration_hash, "listening");

    let drain = Drain::new();
    let listener = Listener {
        socket,
        tls: tls.clone(),
        limits: Limits::default().within_open_files(raise_open_files()),
        ticker: watchdog.register("accept loop", BOUND),
        metrics: listener_metrics,
    };
    let router = ingest::router(Ingest {
        configuration: configuration.clone(),
        bodies: Bodies::default(),
        writer: writer.clone(),
        access,
    });
    let reload = Reload { manifest: args.manifest, applied, data_dir, configuration, writer, tls };
    let leaving = drain.clone().on_signal(&mut signals, readiness, Duration::from_secs(args.drain_grace));
    let (drained, ()) = tokio::select! {
        drained = async { tokio::join!(listener.serve(router, drain), leaving) } => drained,
        () = reload.run(watch, reload_signal) => unreachable!("a manifest is watched until the end"),
    };
    log_thread.close();
    info!(connections_cut = drained.cut, "every accepted line is synced; ending");
    Ok(())
}
