//! A collector under test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use reqwest::Client;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    address::Address,
    client,
    files::{stall, write_manifest},
    manifest::{COLLECTOR_PORT, HEALTH_PORT},
    probes::Probes,
    process::{Process, Surroundings},
};

/// The name of the binary.
pub const COLLECTOR: &str = "visnyk-collector";

/// A collector on an address of its own.
#[derive(Debug)]
pub struct Collector {
    /// Process of the collector.
    pub process: Process,
    /// Client of its health address.
    pub probes: Probes,
    address: Address,
    data_dir: PathBuf,
    folder: TempDir,
}

impl Collector {
    /// Starts a collector and waits until it is ready.
    pub async fn start(manifest: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let collector = Self::start_in(folder, data_dir, manifest);
        collector.probes.ready().await;
        collector
    }

    /// Makes one of its loops hang, and waits until it does.
    pub async fn stall(&self, name: &str) {
        stall(&self.data_dir, name).await;
    }

    /// Starts a collector on a given data folder, without waiting.
    pub fn start_in(folder: TempDir, data_dir: PathBuf, manifest: &Value) -> Self {
        let address = Address::take();
        write_manifest(folder.path(), &manifest.to_string());
        let process = run(&Surroundings::default(), folder.path(), &data_dir, &address);
        let probes = Probes::new(address.port(HEALTH_PORT));
        Self { process, probes, address, data_dir, folder }
    }

    /// Starts it again after it was killed or has ended.
    pub async fn restart(&mut self) {
        self.restart_in(&Surroundings::default()).await;
    }

    /// Starts it again with everything in its log that it can say.
    pub async fn restart_at_trace(&mut self) {
        self.restart_in(&Surroundings::at_trace()).await;
    }

    async fn restart_in(&mut self, surroundings: &Surroundings) {
        self.process = run(surroundings, self.folder.path(), &self.data_dir, &self.address);
        self.probes.ready().await;
    }

    /// Asks it to go and waits until it has gone.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.process.terminate().await
    }

    /// Replaces its manifest, without waiting.
    pub fn change_manifest(&self, text: &str) {
        write_manifest(self.folder.path(), text);
    }

    /// Returns the URL that bodies are sent to.
    pub fn url(&self) -> String {
        format!("https://{}/", self.address.port(COLLECTOR_PORT))
    }

    /// Returns a client that trusts it.
    pub fn client(&self) -> Client {
        client::https(&self.ca(), self.address.port(COLLECTOR_PORT))
    }

    /// Returns the path of the authority that clients are to trust.
    pub fn ca(&self) -> PathBuf {
        self.data_dir.join("tls/ca.crt")
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Returns the path of its data folder, with the log.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Returns the folder of its Secrets, `<secret>/<key>`.
    pub fn secrets_dir(&self) -> PathBuf {
        self.folder.path().join("secrets")
    }

    /// Returns the folder in which another process keeps its certificate fresh; used if it is there when the
    /// collector starts.
    pub fn tls_dir(folder: &Path) -> PathBuf {
        folder.join("tls")
    }

    /// Returns the path of the authorities of relays, which are used if the file exists when the collector starts.
    pub fn client_ca(folder: &Path) -> PathBuf {
        folder.join("client-ca.crt")
    }

    /// Returns the folder of all its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the text of its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.data_dir.join("webhook.log")).unwrap_or_default()
    }

    /// Writes this collector's address and certificates into a relay's peers folder, as the operator does.
    pub fn introduce_to(&self, peers_dir: &Path) {
        fs::create_dir_all(peers_dir).unwrap();
        fs::copy(self.ca(), peers_dir.join("default.archive.ca.crt")).unwrap();
        fs::write(peers_dir.join("default.archive.url"), self.url()).unwrap();
    }
}

fn run(surroundings: &Surroundings, folder: &Path, data_dir: &Path, address: &Address) -> Process {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let given = |flag: &str, path: PathBuf| path.exists().then(|| format!("{flag}={}", text(&path)));
    let args = [
        "run".to_owned(),
        format!("--manifest={}", text(&folder.join("manifest.yaml"))),
        format!("--data-dir={}", text(data_dir)),
        format!("--secrets-dir={}", text(&folder.join("secrets"))),
        format!("--address={}", address.ip()),
        format!("--health={}", address.port(HEALTH_PORT)),
        "--drain-grace=0".to_owned(),
    ];
    let args = args
        .into_iter()
        .chain(given("--tls-dir", Collector::tls_dir(folder)))
        .chain(given("--client-ca", Collector::client_ca(folder)));
    Process::start_in(surroundings, COLLECTOR, args, &folder.join("collector.out"))
}
