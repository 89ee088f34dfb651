//! Puts the operator together and runs it until SIGTERM: its endpoints, the wait for our kinds, the election, and
//! behind the fence of the lease the controllers.

use std::time::Duration;

use kube::{Api, Config};
use tokio_util::sync::CancellationToken;
use tracing::info;
use visnyk_runtime::admin::health::{Health, HealthError};
use visnyk_runtime::observe::metrics::Metrics;
use visnyk_runtime::observe::readiness::Readiness;
use visnyk_runtime::observe::watchdog::{BOUND, Watchdog};
use visnyk_runtime::server::drain::{Drain, Signals};

use crate::process::args::{Images, Namespaces, RunArgs};
use crate::process::definitions::{self, Missing};
use crate::process::endpoints::OperatorEndpoints;
use crate::process::events::Events;
use crate::process::fence::Fence;
use crate::process::installation::Installation;
use crate::process::leader::{Election, Ended, Timing};
use crate::process::metrics::OperatorMetrics;

/// Dependencies of the controllers.
#[derive(Clone)]
pub struct ControllerDeps {
    /// The API server, behind the fence: a write passes only while this operator leads.
    pub client: kube::Client,
    /// The installation that this operator is part of.
    pub installation: Installation,
    /// Namespaces whose resources are reconciled.
    pub namespaces: Namespaces,
    /// Images of the workloads.
    pub images: Images,
    /// Metrics of the operator.
    pub metrics: OperatorMetrics,
    /// Publisher of Kubernetes Events.
    pub events: Events,
}

/// Reason for which the operator cannot start or continue.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is neither a service account nor a kubeconfig.
    #[error("no cluster to look after")]
    Config(#[source] kube::config::InferConfigError),
    /// A client cannot be made from the configuration.
    #[error("client of the API server cannot be made")]
    Client(#[source] kube::Error),
    /// The health address cannot be served.
    #[error("health cannot be served")]
    Health(#[source] HealthError),
    /// The controllers ended by themselves.
    #[error("controllers ended")]
    Ended,
}

/// The name of the Lease.
const LEASE: &str = "visnyk-operator";

/// Runs the operator until SIGTERM: `controllers` work while it leads, and are dropped when it no longer does.
pub async fn run<Work: Future<Output = ()>>(
    args: RunArgs,
    mut signals: Signals,
    controllers: impl Fn(ControllerDeps) -> Work,
) -> Result<(), RunError> {
    let config = Config::infer().await.map_err(RunError::Config)?;
    let client = kube::Client::try_from(config.clone()).map_err(RunError::Client)?;
    let fence = Fence::default();
    let fenced = fence.client(config).map_err(RunError::Client)?;

    let (readiness, watchdog) = (Readiness::default(), Watchdog::new());
    let missing = Missing::both(&readiness);
    let (page, metrics) =
        (Metrics::new("visnyk-operator", env!("CARGO_PKG_VERSION")), OperatorMetrics::default());
    page.register(|registry| metrics.register(registry));
    // It tries every two seconds, and no try takes longer than ten.
    let ticker = watchdog.register("election", BOUND);
    let endpoints =
        OperatorEndpoints { watchdog, readiness: readiness.clone(), metrics: page, fence: fence.clone() };
    let _health = args.health.map(|at| Health::start(at, endpoints)).transpose().map_err(RunError::Health)?;

    let drain = Drain::new();
    let stop = stop_with(&drain);
    tokio::spawn(async move { drain.on_signal(&mut signals, readiness, Duration::ZERO).await });
    let namespaces = args.namespaces();
    info!(identity = args.identity, ?namespaces, version = env!("CARGO_PKG_VERSION"), "starting");

    let namespace = args.lease_namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    let leases = Api::namespaced(client.clone(), &namespace);
    let deps = ControllerDeps {
        installation: Installation { namespace, lease: LEASE.to_owned() },
        events: Events::new(fenced.clone(), &args.identity),
        client: fenced,
        namespaces,
        images: args.images,
        metrics: metrics.clone(),
    };
    let mut election = Election::new(leases, LEASE, &args.identity, Timing::default());
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        () = definitions::served(&client, missing, &ticker) => {}
    }
    loop {
        // Each term has controllers of its own: what those of the last one knew went with them.
        let work = async {
            metrics.term_began();
            controllers(deps.clone()).await;
        };
        let ended = election.lead(&fence, &stop, &ticker, work).await;
        metrics.term_ended();
        match ended {
            Ended::Lost => {}
            Ended::Finished(()) => return Err(RunError::Ended),
            Ended::Stopped => return Ok(()),
        }
    }
}

/// Returns a token that is cancelled when the process is told to go.
fn stop_with(drain: &Drain) -> CancellationToken {
    let (stop, drain) = (CancellationToken::new(), drain.clone());
    let cancelled = stop.clone();
    tokio::spawn(async move {
        drain.leaving().await;
        cancelled.cancel();
    });
    stop
}
