//! `make bench-operator`: the operator on a real API server that has nothing to run pods on, with many resources.

mod process;
mod requests;
mod resources;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kube::{Client, Config};
use tokio::time::sleep;
use visnyk_cluster_harness::AuditLog;

use crate::process::Memory;

use process::Operator;
use requests::Requests;
use resources::Resources;

/// Settings of a measurement of the operator.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Resources, half of them relays that deliver to the other half.
    pub resources: u32,
    /// Length of the time in which nothing happens.
    pub idle: Duration,
}

/// Results of the measurements.
#[derive(Debug)]
pub struct Measured {
    plan: Plan,
    created: Duration,
    converged: Duration,
    converging: Requests,
    memory: Memory,
    idling: Requests,
    restarted: Duration,
    restarting: Requests,
    memory_after_restart: Memory,
}

/// As the API server's audit log names the measurement's own requests.
const USER_AGENT: &str = "visnyk-bench";
/// Nothing more comes after so long without a write.
const QUIET: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_mins(10);

/// Runs an operator with many resources, leaves it alone, and restarts it.
pub async fn measure(operator: &Path, plan: Plan) -> anyhow::Result<Measured> {
    let client = client().await?;
    let resources = Resources::prepare(client).await?;
    let running = Operator::start(operator)?;

    let log = AuditLog::from_now()?;
    let begin = Instant::now();
    resources.create(plan.resources).await?;
    let created = begin.elapsed();
    until("resources with all their children", async || resources.settled().await, plan.resources).await?;
    let converged = begin.elapsed();
    quiet().await?;
    let converging = Requests::of_operator(&log)?;
    let memory = running.memory()?;

    eprintln!("converged after {converged:.1?}; now {:?} without a change", plan.idle);
    let log = AuditLog::from_now()?;
    sleep(plan.idle).await;
    let idling = Requests::of_operator(&log)?;
    running.stop().await?;

    let log = AuditLog::from_now()?;
    let begin = Instant::now();
    let running = Operator::start(operator)?;
    until("visits after the restart", async || running.visited().await, plan.resources).await?;
    let restarted = begin.elapsed();
    quiet().await?;
    let restarting = Requests::of_operator(&log)?;
    let memory_after_restart = running.memory()?;
    running.stop().await?;
    Ok(Measured {
        plan,
        created,
        converged,
        converging,
        memory,
        idling,
        restarted,
        restarting,
        memory_after_restart,
    })
}

async fn client() -> anyhow::Result<Client> {
    let mut config = Config::infer().await.context("find the cluster")?;
    config.headers.push((http::header::USER_AGENT, USER_AGENT.parse()?));
    Ok(Client::try_from(config)?)
}

/// Waits until that many are as they should be, and says how many are.
async fn until(what: &str, count: impl AsyncFn() -> anyhow::Result<u32>, wanted: u32) -> anyhow::Result<()> {
    let begin = Instant::now();
    let mut told = begin;
    loop {
        let found = count().await?;
        if found >= wanted {
            return Ok(());
        }
        ensure!(begin.elapsed() < TIMEOUT, "not within {TIMEOUT:?}: {what}; {found} of {wanted}");
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            eprintln!("{what}: {found} of {wanted}");
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// Waits until nothing is written any more.
async fn quiet() -> anyhow::Result<()> {
    let begin = Instant::now();
    loop {
        let log = AuditLog::from_now()?;
        sleep(QUIET).await;
        if Requests::of_operator(&log)?.writes == 0 {
            return Ok(());
        }
        ensure!(begin.elapsed() < TIMEOUT, "the operator still writes after {TIMEOUT:?}");
    }
}

impl Measured {
    /// Writes the results as a table.
    pub fn markdown(&self) -> String {
        let each = |requests: u32| format!("{:.1}", f64::from(requests) / f64::from(self.plan.resources));
        let mib = |memory: f64| format!("{memory:.0}");
        let rows = [
            ("created by `kubectl apply`'s like", format!("{:.1} s", self.created.as_secs_f64()), ""),
            ("all children there, status said", format!("{:.1} s", self.converged.as_secs_f64()), ""),
            ("API requests per resource until then", each(self.converging.all), ""),
            ("of these writes", each(self.converging.writes), ""),
            ("memory, MiB", mib(self.memory.resident), "64"),
            ("at its peak, MiB", mib(self.memory.peak), ""),
            ("writes while idle", self.idling.writes.to_string(), "0"),
            ("reads while idle", self.idling.reads().to_string(), ""),
            (
                "restart until there were as many visits",
                format!("{:.1} s", self.restarted.as_secs_f64()),
                "30 s",
            ),
            ("API requests per resource for that", each(self.restarting.all), ""),
            ("writes for that", self.restarting.writes.to_string(), "0"),
            ("memory after the restart, MiB", mib(self.memory_after_restart.resident), "64"),
            ("at its peak, MiB", mib(self.memory_after_restart.peak), ""),
        ];
        let rows: Vec<_> =
            rows.iter().map(|(what, seen, budget)| format!("| {what} | {seen} | {budget} |")).collect();
        format!(
            "{} resources, half of them relays that deliver to the collectors of the other half; idle for {:?}.\n\n\
             | | seen | budget |\n|---|---|---|\n{}",
            self.plan.resources,
            self.plan.idle,
            rows.join("\n")
        )
    }
}
