//! The operator as a process.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::resources::NAMESPACE;

/// A running operator.
pub struct Operator {
    program: PathBuf,
    child: Child,
    metrics: String,
}

/// What a process has of memory, in KiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    resident: u64,
    peak: u64,
}

impl Operator {
    /// Starts it for the namespace that is measured.
    pub fn start(program: &Path) -> anyhow::Result<Self> {
        let health = free_port()?;
        let child = Command::new(program)
            .args(["run", "--relay-image=relay", "--collector-image=collector", "--identity=bench"])
            .args([format!("--watch-namespaces={NAMESPACE}"), format!("--health={health}")])
            .arg("--lease-namespace=default")
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(Self { program: program.to_owned(), child, metrics: format!("http://{health}/metrics") })
    }

    /// Asks it to go, and waits until it has gone.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        kill_process(self.pid()?, Signal::TERM)?;
        let status = self.child.wait().await?;
        anyhow::ensure!(status.success(), "the operator ended with {status}");
        Ok(())
    }

    /// How many visits went well so far.
    pub async fn visited(&self) -> anyhow::Result<u32> {
        let answer = Command::new(&self.program).args(["probe", &self.metrics]).output().await?;
        // Not listening yet is nothing visited yet.
        let page = String::from_utf8(answer.stdout)?;
        let counts = page.lines().filter(|line| {
            line.starts_with("visnyk_reconciles_total") && line.contains("outcome=\"success\"")
        });
        Ok(counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u32>().ok()).sum())
    }

    /// What it has of memory now, and had at most.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?.as_raw_nonzero()))?;
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix(" kB")?.parse().ok()
        };
        let resident = of("VmRSS:").context("no VmRSS")?;
        Ok(Memory { resident, peak: of("VmHWM:").context("no VmHWM")? })
    }

    fn pid(&self) -> anyhow::Result<Pid> {
        let id = self.child.id().context("the operator has ended")?;
        Pid::from_raw(id.cast_signed()).context("no process has the id 0")
    }
}

impl Memory {
    /// In MiB.
    pub fn resident(self) -> String {
        (self.resident >> 10).to_string()
    }

    /// In MiB.
    pub fn peak(self) -> String {
        (self.peak >> 10).to_string()
    }
}

fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
