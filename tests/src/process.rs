//! A running binary: its output is kept in a file and shown when the test fails. It is killed when its handle is
//! dropped.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{binary::binary, wait::eventually};

/// A binary that runs as a process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    said: PathBuf,
}

/// Environment of a process under test.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// User of the process; none: the user that runs the tests.
    pub user: Option<u32>,
    /// Filter of its log, as in `RUST_LOG`.
    pub log: &'static str,
    /// Variables of its environment.
    pub variables: Vec<(&'static str, &'static str)>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { user: None, log: "debug,hyper=info,h2=info,rustls=info,sqlx=info", variables: Vec::new() }
    }
}

/// Lines of a process's log that are shown when its test fails.
const SHOWN: usize = 80;

impl Surroundings {
    /// Logs everything except the messages about the growth of that log: the process watches the folder that it is
    /// in.
    pub fn at_trace() -> Self {
        Self { log: "trace,notify=off,mio=off", ..Self::default() }
    }
}

/// Variables that our images set, in which the binaries are tested, too.
fn environment_of_images() -> impl Iterator<Item = (&'static str, &'static str)> {
    include_str!("../../Dockerfile").lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('='))
}

impl Process {
    /// Starts a binary of the workspace. Standard output and error are appended to `said`.
    pub fn start<A: AsRef<OsStr>>(name: &str, args: impl IntoIterator<Item = A>, said: &Path) -> Self {
        Self::start_in(&Surroundings::default(), name, args, said)
    }

    /// Starts the same, in other surroundings.
    pub fn start_in<A: AsRef<OsStr>>(
        surroundings: &Surroundings,
        name: &str,
        args: impl IntoIterator<Item = A>,
        said: &Path,
    ) -> Self {
        let Surroundings { user, log, variables } = surroundings;
        let out = File::options().append(true).create(true).open(said).unwrap();
        let mut command = Command::new(binary(name));
        if let Some(user) = *user {
            command.uid(user).gid(user);
        }
        let child = command
            .args(args)
            .env_remove("HTTPS_PROXY")
            .envs(environment_of_images())
            .env("RUST_LOG", log)
            .env("RUST_BACKTRACE", "1")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name: name.into(), child, said: said.into() }
    }

    /// Runs a binary of the workspace to its end.
    pub fn run<A: AsRef<OsStr>>(name: &str, args: impl IntoIterator<Item = A>) -> Output {
        Command::new(binary(name)).args(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Returns everything that it has written to standard output and error so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// Kills the process, as a lost node or `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to go, as the kubelet does, and returns how it went.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Stops the process until [`Signal::CONT`]. Returns once no thread of it runs.
    pub async fn stand_still(&self) {
        self.signal(Signal::STOP);
        let states = async || {
            // A thread may end while it is looked at.
            let threads = self.seen().tasks().unwrap().map(|thread| thread?.stat());
            threads.filter_map(Result::ok).map(|thread| thread.state).collect::<String>()
        };
        eventually("stopped", states, |states| states.chars().all(|state| state == 'T')).await;
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let what = format!("{} ends", self.name);
        let child = &mut self.child;
        eventually(&what, async || child.try_wait().unwrap(), Option::is_some).await.unwrap()
    }

    /// Fails when the process has ended although it should run.
    pub fn assert_running(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("{} ended with {status} although it should run", self.name);
        }
    }

    /// Returns the most memory that it has had so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.seen().status().unwrap().vmhwm.unwrap() << 10
    }

    /// Returns the memory that it has, in bytes.
    pub fn memory(&self) -> u64 {
        self.seen().status().unwrap().vmrss.unwrap() << 10
    }

    /// Returns the processor time that it has used.
    pub fn processor_time(&self) -> Duration {
        let stat = self.seen().stat().unwrap();
        Duration::from_millis((stat.utime + stat.stime) * 1_000 / procfs::ticks_per_second())
    }

    /// Returns the number of files, sockets among them, that it has open.
    pub fn open_files(&self) -> usize {
        self.seen().fd_count().unwrap()
    }

    /// Returns the process as the kernel sees it.
    fn seen(&self) -> procfs::process::Process {
        procfs::process::Process::new(self.id().try_into().unwrap()).unwrap()
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let said = self.said();
            let lines: Vec<&str> = said.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN)..];
            eprintln!("---- {} said (last {SHOWN} lines):\n{}\n----", self.name, shown.join("\n"));
        }
    }
}
