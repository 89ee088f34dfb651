//! A relay under test.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Output},
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    address::Address,
    client::{self, Version},
    files::{stall, write_manifest},
    manifest::{HEALTH_PORT, RELAY_PORT},
    probes::Probes,
    process::{Process, Surroundings},
};

/// The name of the binary.
pub const RELAY: &str = "visnyk-relay";

/// A relay on an address of its own.
#[derive(Debug)]
pub struct Relay {
    /// Process of the relay.
    pub process: Process,
    /// Client of its health address.
    pub probes: Probes,
    address: Address,
    data_dir: PathBuf,
    folder: TempDir,
    kills: Vec<Instant>,
}

impl Relay {
    /// Starts a relay and waits until it is ready.
    pub async fn start(manifest: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        Self::start_in(folder, data_dir, manifest).await
    }

    /// Starts one with a thread for each loop that may hang, and waits until it is ready.
    pub async fn start_stalling(manifest: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (address, data_dir) = (Address::take(), folder.path().join("data"));
        write_manifest(folder.path(), &manifest.to_string());
        let args = args(folder.path(), &data_dir, &address);
        let variables = vec![("TOKIO_WORKER_THREADS", "8")];
        let surroundings = Surroundings { variables, ..Surroundings::default() };
        let process = Process::start_in(&surroundings, RELAY, args, &said(folder.path()));
        let probes = Probes::new(address.port(HEALTH_PORT));
        let relay = Self { process, probes, address, data_dir, folder, kills: Vec::new() };
        relay.probes.ready().await;
        relay
    }

    /// Makes one of its loops hang, and waits until it does.
    pub async fn stall(&self, name: &str) {
        stall(&self.data_dir, name).await;
    }

    /// Starts a relay on a given data folder and waits until it is ready.
    pub async fn start_in(folder: TempDir, data_dir: PathBuf, manifest: &Value) -> Self {
        let address = Address::take();
        write_manifest(folder.path(), &manifest.to_string());
        let process = run(folder.path(), &data_dir, &address);
        let probes = Probes::new(address.port(HEALTH_PORT));
        let relay = Self { process, probes, address, data_dir, folder, kills: Vec::new() };
        relay.probes.ready().await;
        relay
    }

    /// Starts a relay on a given data folder as another user, who may use it, without waiting.
    pub fn launch_in(folder: TempDir, data_dir: PathBuf, manifest: &Value, user: u32) -> Self {
        let address = Address::take();
        write_manifest(folder.path(), &manifest.to_string());
        let surroundings = Surroundings { user: Some(user), ..Surroundings::default() };
        let args = args(folder.path(), &data_dir, &address);
        let process = Process::start_in(&surroundings, RELAY, args, &said(folder.path()));
        let probes = Probes::new(address.port(HEALTH_PORT));
        Self { process, probes, address, data_dir, folder, kills: Vec::new() }
    }

    /// Kills the relay's process.
    pub fn kill(&mut self) {
        self.process.kill();
        self.kills.push(Instant::now());
    }

    /// Starts it again after it was killed or has ended, and waits until it is ready.
    pub async fn restart(&mut self) {
        self.launch();
        self.probes.ready().await;
    }

    /// Starts it again with everything in its log that it can say.
    pub async fn restart_at_trace(&mut self) {
        self.restart_in(&Surroundings::at_trace()).await;
    }

    /// Starts it again in other surroundings.
    pub async fn restart_in(&mut self, surroundings: &Surroundings) {
        let args = args(self.folder.path(), &self.data_dir, &self.address);
        self.process = Process::start_in(surroundings, RELAY, args, &said(self.folder.path()));
        self.probes.ready().await;
    }

    /// Starts it again to deliver what is pending and accept nothing, without waiting.
    pub fn restart_to_deliver_only(&mut self) {
        let args = args(self.folder.path(), &self.data_dir, &self.address);
        let args = args.into_iter().chain(["--deliver-only".to_owned()]);
        self.process = Process::start(RELAY, args, &said(self.folder.path()));
    }

    /// Starts it again, without waiting.
    pub fn launch(&mut self) {
        self.process = run(self.folder.path(), &self.data_dir, &self.address);
    }

    /// Starts it again, to go on accepting for this grace once it is asked to go, without waiting.
    pub fn launch_with_grace(&mut self, grace: Duration) {
        let (folder, address) = (self.folder.path(), &self.address);
        let args = args_with_grace(folder, &self.data_dir, address, grace);
        self.process = Process::start(RELAY, args, &said(folder));
    }

    /// Starts it again with another manifest.
    pub async fn restart_with(&mut self, manifest: &Value) {
        write_manifest(self.folder.path(), &manifest.to_string());
        self.restart().await;
    }

    /// Asks it to go and waits until it has gone.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.process.terminate().await
    }

    /// Replaces its manifest and waits until the new one is active.
    pub async fn apply(&self, manifest: &Value) {
        let before = self.probes.status().await["configurationHash"].clone();
        self.change_manifest(&manifest.to_string());
        self.probes.until_other_configuration(&before).await;
    }

    /// Replaces its manifest, without waiting.
    pub fn change_manifest(&self, text: &str) {
        write_manifest(self.folder.path(), text);
    }

    /// Runs a command that speaks to it, such as `["redrive", "--destination", "pager"]`.
    pub fn command(&self, args: &[&str]) -> Output {
        let data_dir = format!("--data-dir={}", self.data_dir.display());
        Process::run(RELAY, args.iter().copied().chain([data_dir.as_str()]))
    }

    /// Returns the URL that events are sent to.
    pub fn url(&self) -> String {
        format!("https://{}/", self.address.port(RELAY_PORT))
    }

    /// Returns a client that trusts it.
    pub fn client(&self) -> Client {
        client::https(&self.data_dir.join("tls/ca.crt"), self.address.port(RELAY_PORT))
    }

    /// Returns a client that trusts it and shows it a certificate (PEM, with its key), if it has one.
    pub fn client_with(&self, identity: Option<&str>, version: Version) -> Client {
        let (ca, address) = (self.data_dir.join("tls/ca.crt"), self.address.port(RELAY_PORT));
        client::https_with(&ca, address, identity, version)
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Returns the path of its data folder.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Returns the folder of its Secrets, `<secret>/<key>`.
    pub fn secrets_dir(&self) -> PathBuf {
        self.folder.path().join("secrets")
    }

    /// Returns the folder in which it looks for Collectors.
    pub fn peers_dir(&self) -> PathBuf {
        self.folder.path().join("peers")
    }

    /// Returns the times at which it was killed.
    pub fn kills(&self) -> &[Instant] {
        &self.kills
    }

    /// Returns the entry of a destination in `/status`.
    pub async fn destination(&self, name: &str) -> Value {
        find(&self.probes.status().await, name).clone()
    }

    /// Waits for what `/status` says of a destination.
    pub async fn until(&self, name: &str, what: &str, satisfies: impl Fn(&Value) -> bool) -> Value {
        let status = self.probes.until(what, |status| satisfies(find(status, name))).await;
        find(&status, name).clone()
    }
}

/// Returns a destination in a status; null if it is not there.
pub fn find<'a>(status: &'a Value, name: &str) -> &'a Value {
    let destinations = status["destinations"].as_array().expect("a status lists its destinations");
    destinations.iter().find(|destination| destination["name"] == name).unwrap_or(&Value::Null)
}

fn run(folder: &Path, data_dir: &Path, address: &Address) -> Process {
    Process::start(RELAY, args(folder, data_dir, address), &said(folder))
}

fn said(folder: &Path) -> PathBuf {
    folder.join("relay.out")
}

fn args(folder: &Path, data_dir: &Path, address: &Address) -> [String; 8] {
    args_with_grace(folder, data_dir, address, Duration::ZERO)
}

fn args_with_grace(folder: &Path, data_dir: &Path, address: &Address, grace: Duration) -> [String; 8] {
    [
        "run".to_owned(),
        format!("--manifest={}", folder.join("manifest.yaml").display()),
        format!("--data-dir={}", data_dir.display()),
        format!("--secrets-dir={}", folder.join("secrets").display()),
        format!("--peers-dir={}", folder.join("peers").display()),
        format!("--address={}", address.ip()),
        format!("--health={}", address.port(HEALTH_PORT)),
        format!("--drain-grace={}", grace.as_secs()),
    ]
}
