//! The operator as a process.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::resources::NAMESPACE;
use crate::process::HOST;
use crate::process::Memory;

const HEALTH_PORT: u16 = 9080;

/// An operator that runs as a process.
pub struct Operator {
    program: PathBuf,
    child: Child,
}

impl Operator {
    /// Starts it for the namespace that is measured.
    pub fn start(program: &Path) -> anyhow::Result<Self> {
        let child = Command::new(program)
            .args(["run", "--relay-image=relay", "--collector-image=collector", "--identity=bench"])
            .args([format!("--watch-namespaces={NAMESPACE}"), format!("--health={HOST}:{HEALTH_PORT}")])
            .arg("--lease-namespace=default")
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(Self { program: program.to_owned(), child })
    }

    /// Asks it to go, and waits until it has gone.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let pid = Pid::from_raw(self.id()?.cast_signed()).context("no process has the id 0")?;
        kill_process(pid, Signal::TERM)?;
        let status = self.child.wait().await?;
        anyhow::ensure!(status.success(), "the operator ended with {status}");
        Ok(())
    }

    /// Returns the number of successful reconciles so far.
    pub async fn visited(&self) -> anyhow::Result<u32> {
        let metrics = format!("http://{HOST}:{HEALTH_PORT}/metrics");
        let answer = Command::new(&self.program).args(["probe", &metrics]).output().await?;
        // Not listening yet is nothing visited yet.
        let page = String::from_utf8(answer.stdout)?;
        let counts = page.lines().filter(|line| {
            line.starts_with("visnyk_reconciles_total") && line.contains("outcome=\"success\"")
        });
        Ok(counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u32>().ok()).sum())
    }

    /// Returns its memory now, and its maximum.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        Memory::of(self.id()?)
    }

    fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("the operator has ended")
    }
}
