//! The command line: one binary that runs the collector and checks its manifest.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand};
use visnyk_crds::contract::{flags, paths};
use visnyk_runtime::host::configuration::ManifestArgs;

/// Appends each body it is sent to a log, as one line, and syncs it before it answers.
///
/// Any POST to any path is taken. Line breaks inside a body are written as \n and \r; `RUST_LOG=debug` logs
/// each line's webhook-id and size.
#[derive(Debug, Parser)]
#[command(name = "visnyk-collector", version, max_term_width = 120, after_help = EXAMPLE)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLE: &str = "Example:
  visnyk-collector run --manifest examples/quickstart.yaml --data-dir data --health 127.0.0.1:9090
  curl --cacert data/tls/ca.crt https://localhost:8080/ -d hello
  visnyk-collector tail --manifest examples/quickstart.yaml --data-dir data --follow";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the collector that a manifest describes, until SIGTERM.
    Run(RunArgs),
    /// Print every mistake of a manifest with its place, and end with 64 if there is one.
    Check(CheckArgs),
    /// Print the last lines of the log.
    Tail(TailArgs),
}

/// What to check.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The manifest.
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// Check the Secrets that the manifest names too: files `<secret>/<key>` in this folder.
    #[arg(long, value_name = "DIR")]
    pub secrets_dir: Option<PathBuf>,
}

/// How to run.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The manifest.
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// Folder for the log and a self-signed CA (tls/ca.crt). One process per folder.
    #[arg(long = flags::DATA_DIR, value_name = "DIR", env = flags::DATA_DIR_VARIABLE)]
    pub data_dir: PathBuf,
    /// Folder with the Secrets that the manifest names, as files `<secret>/<key>`.
    #[arg(long = flags::SECRETS_DIR, value_name = "DIR", default_value = paths::SECRETS_DIR)]
    pub secrets_dir: PathBuf,
    /// Folder where somebody else keeps the certificate of `selfSigned` fresh, as files tls.crt and tls.key;
    /// without it, one is made in the data folder.
    #[arg(long = flags::TLS_DIR, value_name = "DIR")]
    pub tls_dir: Option<PathBuf>,
    /// PEM bundle of the authorities that vouch for relays; without it, no relay can prove who it is.
    #[arg(long = flags::CLIENT_CA, value_name = "FILE")]
    pub client_ca: Option<PathBuf>,
    /// Serve /livez, /readyz, /startupz, /metrics and /status here, over plain HTTP.
    #[arg(long = flags::HEALTH, value_name = "IP:PORT")]
    pub health: Option<SocketAddr>,
    /// Address to listen on; the port is the manifest's.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V6(Ipv6Addr::UNSPECIFIED))]
    pub address: IpAddr,
    /// After SIGTERM, keep accepting for so long, since load balancers learn late that this collector is going.
    #[arg(long = flags::DRAIN_GRACE, value_name = "SECONDS", default_value_t = 5)]
    pub drain_grace: u64,
}

/// What to print of which log.
#[derive(Clone, Debug, Args)]
pub struct TailArgs {
    /// The manifest, which names the log.
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// The data folder, which holds it.
    #[arg(long, value_name = "DIR", env = flags::DATA_DIR_VARIABLE)]
    pub data_dir: PathBuf,
    /// How many lines.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    pub lines: usize,
    /// Go on with what is added, until stopped.
    #[arg(short, long)]
    pub follow: bool,
}
