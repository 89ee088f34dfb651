//! Processes that a measurement starts: each is waited for, and ended by its id.

use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use procfs::process::Process;
use tempfile::TempDir;

/// Address of this run alone, so that nothing else is ever hit.
pub const HOST: &str = "127.8.4.3";
/// Maximum time of a start.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A running process with its folder, both gone with this.
pub struct Running {
    child: Child,
    folder: Option<TempDir>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It is ours, by its id, and there is nothing to save.
        let _ = self.child.kill();
        let _ = self.child.wait();
        drop(self.folder.take());
    }
}

impl Running {
    /// Starts a command, and waits until it listens on this port.
    pub fn start(mut command: Command, port: u16, folder: Option<TempDir>) -> anyhow::Result<Self> {
        // A child that the process before was just about to run has its listener for some moments longer.
        until(|| !listens(port)).with_context(|| format!("port {port} is still taken"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().with_context(|| format!("start {command:?}"))?;
        let mut running = Self { child, folder };
        until(|| listens(port) || running.ended().is_some())
            .with_context(|| format!("{command:?} does not listen on port {port}"))?;
        match running.ended() {
            Some(status) => bail!("{command:?} ended with {status}"),
            None => Ok(running),
        }
    }

    /// Returns its processor time so far, in seconds.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = Process::new(self.child.id().try_into()?)?.stat()?;
        #[expect(clippy::cast_precision_loss)] // ticks, a hundred a second
        let [used, per_second] =
            [stat.utime + stat.stime, procfs::ticks_per_second()].map(|ticks| ticks as f64);
        Ok(used / per_second)
    }

    /// Returns the memory that it has.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        Memory::of(self.child.id())
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

/// Memory of a process, in MiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident memory at this moment.
    pub resident: f64,
    /// Highest resident memory so far.
    pub peak: f64,
}

impl Memory {
    /// Reads the memory of this process.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let status = Process::new(pid.try_into()?)?.status()?;
        #[expect(clippy::cast_precision_loss)] // millions at most
        let mib = |kib: Option<u64>| Some(kib? as f64 / 1024.0);
        let [resident, peak] = [mib(status.vmrss), mib(status.vmhwm)];
        Ok(Self { resident: resident.context("no memory")?, peak: peak.context("no peak of memory")? })
    }
}

fn listens(port: u16) -> bool {
    TcpStream::connect((HOST, port)).is_ok()
}

fn until(mut is_so: impl FnMut() -> bool) -> anyhow::Result<()> {
    let began = Instant::now();
    while !is_so() {
        ensure!(began.elapsed() < TIMEOUT, "not in {TIMEOUT:?}");
        sleep(Duration::from_millis(20));
    }
    Ok(())
}
