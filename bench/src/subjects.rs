//! Servers that are measured, and the way each is started: every one over HTTPS with the same certificate and the
//! same body.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

/// An address of this run alone, so that nothing else is ever hit.
pub const HOST: &str = "127.8.4.3";
/// Where the two destinations listen.
pub const SINKS: [u16; 2] = [9101, 9102];
/// Port on which no process listens.
const NOBODY: u16 = 9199;
const PORT: u16 = 9443;
/// Key that every request is signed with.
pub const SECRET: &str = "bench";
/// Maximum time of a start.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Server that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Bare,
    BareAgain,
    Relay,
    RelayOneDown,
    RelayAlone,
    RelayVerifying,
    Webhook,
    Benthos,
}

/// All that can be measured here, and the folder it works in.
pub struct Subjects {
    folder: TempDir,
    bin: PathBuf,
    benthos: Option<PathBuf>,
    /// In the order of each round.
    pub list: Vec<Subject>,
}

/// A running process, ended with this.
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
    /// Returns the id of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Subject {
    /// Returns its name in the table.
    pub fn title(self) -> &'static str {
        match self {
            Self::Bare => "bare axum + rustls, stores nothing (A)",
            Self::BareAgain => "the same again (A')",
            Self::Relay => "relay, durable, two destinations",
            Self::RelayOneDown => "relay, durable, one of two down",
            Self::RelayAlone => "relay, durable accept alone: both down",
            Self::RelayVerifying => "the same, verifies HMAC and deduplicates",
            Self::Webhook => "webhook (Debian), runs /bin/true",
            Self::Benthos => "Benthos, two destinations, stores nothing",
        }
    }

    /// Returns the URL that the load goes to.
    pub fn url(self) -> String {
        let path = if self == Self::Webhook { "hooks/bench" } else { "" };
        format!("https://{HOST}:{PORT}/{path}")
    }

    /// Returns the ports of the destinations that get events.
    pub fn sinks(self) -> &'static [u16] {
        match self {
            Self::Bare | Self::BareAgain | Self::RelayAlone | Self::RelayVerifying | Self::Webhook => &[],
            Self::Relay | Self::Benthos => &SINKS,
            Self::RelayOneDown => &SINKS[..1],
        }
    }
}

/// Finds everything that this machine can measure.
pub fn all(bin: &Path, benthos: Option<&Path>) -> anyhow::Result<Subjects> {
    let folder = TempDir::new_in(".").context("a folder on the disk that is measured")?;
    let pair = rcgen::generate_simple_self_signed([HOST.to_owned()])?;
    fs::create_dir_all(folder.path().join("secrets/bench"))?;
    fs::write(folder.path().join("secrets/bench/tls.crt"), pair.cert.pem())?;
    fs::write(folder.path().join("secrets/bench/tls.key"), pair.signing_key.serialize_pem())?;
    fs::write(folder.path().join("secrets/bench/hmac"), SECRET)?;
    let mut list = vec![
        Subject::Bare,
        Subject::Relay,
        Subject::RelayOneDown,
        Subject::RelayAlone,
        Subject::RelayVerifying,
        Subject::BareAgain,
    ];
    if Command::new("webhook").arg("-version").output().is_ok() {
        list.push(Subject::Webhook);
    }
    if benthos.is_some() {
        list.push(Subject::Benthos);
    }
    Ok(Subjects { folder, bin: bin.to_owned(), benthos: benthos.map(Path::to_owned), list })
}

impl Subjects {
    /// Returns the folder on the disk that is measured.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Destinations that count, at all of [`SINKS`].
    pub fn start_sinks(&self) -> anyhow::Result<Vec<Running>> {
        SINKS.into_iter().map(|port| self.start_sink(port)).collect()
    }

    fn start_sink(&self, port: u16) -> anyhow::Result<Running> {
        let mut command = Command::new(self.bin.join("visnyk-bench"));
        command.args(["sink", &format!("{HOST}:{port}")]);
        start(command, port, None)
    }

    /// Starts a subject, with nothing of an earlier run.
    pub fn start(&self, subject: Subject) -> anyhow::Result<Running> {
        let folder = TempDir::new_in(self.folder())?;
        let certificate = self.folder().join("secrets/bench/tls.crt");
        let key = self.folder().join("secrets/bench/tls.key");
        let command = match subject {
            Subject::Bare | Subject::BareAgain => {
                let mut command = Command::new(self.bin.join("visnyk-bench"));
                command.args(["bare", &format!("{HOST}:{PORT}")]).arg(certificate).arg(key);
                command
            }
            Subject::Relay => self.relay(folder.path(), SINKS, &open())?,
            Subject::RelayOneDown => self.relay(folder.path(), [SINKS[0], NOBODY], &open())?,
            Subject::RelayAlone => self.relay(folder.path(), [NOBODY, NOBODY + 1], &open())?,
            Subject::RelayVerifying => self.relay(folder.path(), [NOBODY, NOBODY + 1], &verifying())?,
            Subject::Webhook => {
                let hooks = folder.path().join("hooks.json");
                fs::write(&hooks, json!([{"id": "bench", "execute-command": "/bin/true"}]).to_string())?;
                let mut command = Command::new("webhook");
                command.arg("-hooks").arg(hooks).args(["-secure", "-ip", HOST, "-port", &PORT.to_string()]);
                command.arg("-cert").arg(certificate).arg("-key").arg(key);
                command
            }
            Subject::Benthos => self.benthos(folder.path(), &certificate, &key)?,
        };
        start(command, PORT, Some(folder))
    }

    fn relay(&self, folder: &Path, ports: [u16; 2], source: &Value) -> anyhow::Result<Command> {
        let destinations = ports.map(|port| {
            json!({"name": format!("to-{port}"), "url": format!("http://{HOST}:{port}/"),
                "network": {"allow": ["127.0.0.0/8"]}})
        });
        let manifest = json!({
            "apiVersion": "visnyk.dev/v1alpha1", "kind": "WebhookRelay", "metadata": {"name": "bench"},
            "spec": {
                "listener": {"port": PORT, "tls": {"secretName": "bench"}},
                "spool": {"persistent": {"size": "4Gi"}},
                "sources": [source],
                "destinations": destinations,
            },
        });
        let path = folder.join("manifest.yaml");
        fs::write(&path, manifest.to_string())?;
        let mut command = Command::new(self.bin.join("visnyk-relay"));
        command.arg("run").arg("--manifest").arg(path).arg("--data-dir").arg(folder.join("data"));
        command.arg("--secrets-dir").arg(self.folder().join("secrets")).args(["--address", HOST]);
        Ok(command)
    }

    fn benthos(&self, folder: &Path, certificate: &Path, key: &Path) -> anyhow::Result<Command> {
        let outputs = SINKS
            .map(|port| json!({"http_client": {"url": format!("http://{HOST}:{port}/"), "verb": "POST"}}));
        let config = json!({
            "http": {"enabled": false},
            "logger": {"level": "ERROR"},
            "input": {"http_server": {"address": format!("{HOST}:{PORT}"), "path": "/",
                "cert_file": certificate, "key_file": key}},
            "output": {"broker": {"pattern": "fan_out", "outputs": outputs}},
        });
        let path = folder.join("benthos.json");
        fs::write(&path, config.to_string())?;
        let mut command = Command::new(self.benthos.as_ref().context("no benthos")?);
        command.arg("run").arg(path);
        Ok(command)
    }
}

/// Returns a `verify` that admits every sender.
fn open() -> Value {
    json!({"name": "bench", "path": "/", "verify": {"none": {}}})
}

/// Returns a source that verifies signatures and suppresses repeats.
fn verifying() -> Value {
    let secret = json!([{"name": "bench", "key": "hmac"}]);
    json!({
        "name": "bench", "path": "/",
        "verify": {"hmac": {"secretRefs": secret, "header": "X-Sig"}},
        "deduplicate": {"id": "headers['x-id']"},
    })
}

fn start(mut command: Command, port: u16, folder: Option<TempDir>) -> anyhow::Result<Running> {
    // A child that the subject before was just about to run has its listener for some moments longer.
    until(|| !listens(port)).with_context(|| format!("port {port} is still taken"))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().with_context(|| format!("start {command:?}"))?;
    let mut running = Running { child, folder };
    until(|| listens(port) || running.ended().is_some())
        .with_context(|| format!("{command:?} does not listen on port {port}"))?;
    match running.ended() {
        Some(status) => bail!("{command:?} ended with {status}"),
        None => Ok(running),
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
