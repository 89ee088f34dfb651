//! Starts the servers of a row: every one over HTTPS with the same certificate, each with an empty folder.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use clap::ValueEnum;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{HOST, Running};
use crate::subjects::{Cores, Peers, Relay, Release, Rules, Server, SinkKind, Source, Subject};

/// Key that every request is signed with.
pub const SECRET: &str = "bench";
const PORT: u16 = 9443;
/// Port at which destinations tell what they took. They listen on the ports above it.
const COUNT_PORT: u16 = 9100;
/// No process listens from here on.
const DEAD_PORT: u16 = 9300;

/// Binaries that are measured.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// Folder with this tree's release binaries.
    pub bin: PathBuf,
    /// The relay of the release before.
    pub before: Option<PathBuf>,
    pub benthos: Option<PathBuf>,
}

/// Binaries and a folder on the disk that is measured.
pub struct Arena {
    folder: TempDir,
    binaries: Binaries,
}

impl Arena {
    /// Makes the folder with the certificate and secrets that every server uses.
    pub fn prepare(binaries: Binaries) -> anyhow::Result<Self> {
        let folder = TempDir::new_in(".").context("a folder on the disk that is measured")?;
        let pair = rcgen::generate_simple_self_signed([HOST.to_owned()])?;
        let arena = Self { folder, binaries };
        fs::create_dir_all(arena.secret(""))?;
        fs::write(arena.secret("tls.crt"), pair.cert.pem())?;
        fs::write(arena.secret("tls.key"), pair.signing_key.serialize_pem())?;
        fs::write(arena.secret("hmac"), SECRET)?;
        Ok(arena)
    }

    /// Returns the folder on the disk that is measured.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Finds the servers that this machine has besides those of this tree.
    pub fn peers(&self) -> Peers {
        Peers {
            webhook: Command::new("webhook").arg("-version").output().is_ok(),
            benthos: self.binaries.benthos.is_some(),
            before: self.binaries.before.is_some(),
        }
    }

    /// Starts a row's destinations.
    pub fn start_sinks(&self, subject: &Subject) -> anyhow::Result<Sinks> {
        let mut command = Command::new(self.binaries.bin.join("visnyk-bench"));
        command.args(["sinks", HOST, &COUNT_PORT.to_string()]).args(self.certificate());
        for value in subject.sinks.iter().filter_map(ValueEnum::to_possible_value) {
            command.args(["--kind", value.get_name()]);
        }
        Ok(Sinks { kinds: subject.sinks.clone(), _running: Running::start(command, COUNT_PORT, None)? })
    }

    /// Starts a row's server.
    pub fn start(&self, subject: &Subject) -> anyhow::Result<Running> {
        let folder = TempDir::new_in(self.folder())?;
        let command = match subject.server {
            Server::Bare => self.bare(),
            Server::Relay(relay) => self.relay(folder.path(), relay, &subject.sinks)?,
            Server::Webhook => self.webhook(folder.path())?,
            Server::Benthos => self.benthos(folder.path(), &subject.sinks)?,
        };
        Running::start(command, PORT, Some(folder))
    }

    fn bare(&self) -> Command {
        let mut command = Command::new(self.binaries.bin.join("visnyk-bench"));
        command.args(["bare", &format!("{HOST}:{PORT}")]).args(self.certificate());
        command
    }

    fn relay(&self, folder: &Path, relay: Relay, sinks: &[SinkKind]) -> anyhow::Result<Command> {
        let path = folder.join("manifest.yaml");
        fs::write(&path, manifest(relay, sinks).to_string())?;
        let binary = match relay.release {
            Release::This => self.binaries.bin.join("visnyk-relay"),
            Release::Before => self.binaries.before.clone().context("no release before")?,
        };
        let mut command = match relay.cores {
            Cores::All => Command::new(binary),
            Cores::First => {
                let mut taskset = Command::new("taskset");
                taskset.args(["--cpu-list", "0"]).arg(binary);
                taskset
            }
        };
        command.arg("run").arg("--manifest").arg(path).arg("--data-dir").arg(folder.join("data"));
        command.arg("--secrets-dir").arg(self.folder().join("secrets")).args(["--address", HOST]);
        Ok(command)
    }

    fn webhook(&self, folder: &Path) -> anyhow::Result<Command> {
        let hooks = folder.join("hooks.json");
        fs::write(&hooks, json!([{"id": "bench", "execute-command": "/bin/true"}]).to_string())?;
        let mut command = Command::new("webhook");
        command.arg("-hooks").arg(hooks).args(["-secure", "-ip", HOST, "-port", &PORT.to_string()]);
        command.arg("-cert").arg(self.secret("tls.crt")).arg("-key").arg(self.secret("tls.key"));
        Ok(command)
    }

    fn benthos(&self, folder: &Path, sinks: &[SinkKind]) -> anyhow::Result<Command> {
        let outputs: Vec<_> =
            urls(sinks).map(|url| json!({"http_client": {"url": url, "verb": "POST"}})).collect();
        let config = json!({
            "http": {"enabled": false},
            "logger": {"level": "ERROR"},
            "input": {"http_server": {"address": format!("{HOST}:{PORT}"), "path": "/",
                "cert_file": self.secret("tls.crt"), "key_file": self.secret("tls.key")}},
            "output": {"broker": {"pattern": "fan_out", "outputs": outputs}},
        });
        let path = folder.join("benthos.json");
        fs::write(&path, config.to_string())?;
        let mut command = Command::new(self.binaries.benthos.as_ref().context("no benthos")?);
        command.arg("run").arg(path);
        Ok(command)
    }

    fn secret(&self, key: &str) -> PathBuf {
        self.folder().join("secrets/bench").join(key)
    }

    fn certificate(&self) -> [PathBuf; 4] {
        ["--certificate".into(), self.secret("tls.crt"), "--key".into(), self.secret("tls.key")]
    }
}

/// Running destinations of one row.
pub struct Sinks {
    kinds: Vec<SinkKind>,
    _running: Running,
}

impl Sinks {
    /// Returns the number of events that each destination has taken, of those that are waited for.
    pub fn taken(&self) -> anyhow::Result<Vec<f64>> {
        let mut stream = TcpStream::connect((HOST, COUNT_PORT))?;
        write!(stream, "GET / HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, counts) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
        let waited_for = counts.lines().zip(&self.kinds).filter(|(_, kind)| kind.is_waited_for());
        waited_for.map(|(count, _)| count.parse().context("parse a count")).collect()
    }
}

/// Returns the URL that the load of a row goes to.
pub fn url(subject: &Subject) -> String {
    let path = if matches!(subject.server, Server::Webhook) { "hooks/bench" } else { "" };
    format!("https://{HOST}:{PORT}/{path}")
}

fn manifest(relay: Relay, sinks: &[SinkKind]) -> Value {
    let dead = (0..relay.dead).map(|number| format!("http://{HOST}:{}/", DEAD_PORT + number));
    let mut destinations: Vec<_> = urls(sinks).chain(dead).enumerate().map(destination).collect();
    if let Rules::Fifty = relay.rules {
        for destination in &mut destinations {
            destination["when"] = "priority == 'Critical' && body.from_country == 'us'".into();
        }
    }
    let mut manifest = json!({
        "apiVersion": "visnyk.dev/v1alpha1", "kind": "WebhookRelay", "metadata": {"name": "bench"},
        "spec": {
            "listener": {"port": PORT, "tls": {"secretName": "bench"}},
            "spool": {"persistent": {"size": "4Gi"}},
            "sources": [source(relay.source)],
            "destinations": destinations,
        },
    });
    // The release before may not know the field.
    if let Rules::Fifty = relay.rules {
        manifest["spec"]["rules"] = (0..50).map(rule).collect();
    }
    manifest
}

/// Returns a rule: the first two match the event of the load, the others ask for another policy.
fn rule(number: u32) -> Value {
    let (policy, effect) = match number {
        0 => ("877643hhh".to_owned(), json!({"priority": "Critical"})),
        1 => ("877643hhh".to_owned(), json!({"labels": {"team": "body.customer"}})),
        _ => (format!("policy-{number}"), json!({"drop": {}})),
    };
    let mut rule = effect;
    rule["name"] = format!("rule-{number}").into();
    rule["when"] = format!("body.policyId == '{policy}' && double(body.triggeredValue) >= 5.0").into();
    rule
}

fn destination((number, url): (usize, String)) -> Value {
    let mut destination = json!({"name": format!("to-{number}"), "network": {"allow": ["127.0.0.0/8"]}});
    if url.starts_with("https") {
        destination["tls"] = json!({"caRef": {"name": "bench", "key": "tls.crt"}});
    }
    destination["url"] = url.into();
    destination
}

fn source(source: Source) -> Value {
    match source {
        Source::Open => json!({"name": "bench", "path": "/", "verify": {"none": {}}}),
        Source::Verifying => json!({
            "name": "bench", "path": "/",
            "verify": {"hmac": {"secretRefs": [{"name": "bench", "key": "hmac"}], "header": "X-Sig"}},
            "deduplicate": {"id": "headers['x-id']"},
        }),
    }
}

fn urls(sinks: &[SinkKind]) -> impl Iterator<Item = String> {
    sinks.iter().zip(COUNT_PORT + 1..).map(|(kind, port)| format!("{}://{HOST}:{port}/", kind.scheme()))
}
