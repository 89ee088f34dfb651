//! The command line: one binary that runs the collector and checks its manifest.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand};
use visnyk_crds::contract::{flags, paths};
use visnyk_runtime::host::configuration::ManifestArgs;

/// A collector: appends each request body to a log file as one line, and syncs it to disk before it answers.
///
/// Any POST to any path is accepted. Line breaks inside a body are written as \n and \r. With `RUST_LOG=debug` each
/// line's webhook-id and size is logged. Exit codes: 0 success, 1 failure, 2 wrong arguments, 64 a manifest that is
/// not valid.
#[derive(Debug, Parser)]
#[command(name = "visnyk-collector", version, max_term_width = 120, after_help = EXAMPLE)]
pub struct Cli {
    /// Command that the process runs.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLE: &str = "Example:
  visnyk-collector run --manifest examples/quickstart.yaml --data-dir data --health 127.0.0.1:9090
  curl --cacert data/tls/ca.crt https://localhost:18443/ -d hello
  visnyk-collector tail --manifest examples/quickstart.yaml --data-dir data --follow";

/// Commands of the collector.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the collector that a manifest describes, until SIGTERM.
    Run(RunArgs),
    /// Check a manifest: print every mistake with its place and end with 64, or print that it is valid. Nothing is
    /// started.
    Check(CheckArgs),
    /// Print the last lines of the log.
    Tail(TailArgs),
}

/// Arguments of the command `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// File and name of the resource.
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// Folder with the Secrets that the manifest names, as files `<secret>/<key>`: check that each is there and
    /// usable. Absent: Secrets are not checked.
    #[arg(long, value_name = "DIR")]
    pub secrets_dir: Option<PathBuf>,
}

/// Arguments of the command `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// File and name of the resource.
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// Folder for the log and the self-signed CA (tls/ca.crt). Only one process may use it.
    #[arg(long = flags::DATA_DIR, value_name = "DIR", env = flags::DATA_DIR_VARIABLE)]
    pub data_dir: PathBuf,
    /// Folder with the Secrets that the manifest names, as files `<secret>/<key>`. Changes are picked up within a
    /// second.
    #[arg(long = flags::SECRETS_DIR, value_name = "DIR", default_value = paths::SECRETS_DIR)]
    pub secrets_dir: PathBuf,
    /// Folder with the certificate for `tls.selfSigned`, as files tls.crt and tls.key, which another program renews.
    /// Absent: the collector makes a CA and a certificate in the data folder.
    #[arg(long = flags::TLS_DIR, value_name = "DIR")]
    pub tls_dir: Option<PathBuf>,
    /// PEM file with the CA certificates that sign the relays' certificates. Absent: no relay can prove its
    /// namespace, and only `access.anonymousIngest` allows anyone to send.
    #[arg(long = flags::CLIENT_CA, value_name = "FILE")]
    pub client_ca: Option<PathBuf>,
    /// Address for /livez, /readyz, /startupz, /metrics and /status, over plain HTTP, for example 127.0.0.1:9090.
    /// Absent: they are not served.
    #[arg(long = flags::HEALTH, value_name = "IP:PORT")]
    pub health: Option<SocketAddr>,
    /// IP address to listen on. The port is the manifest's `listener.port`.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V6(Ipv6Addr::UNSPECIFIED))]
    pub address: IpAddr,
    /// Seconds after SIGTERM during which requests are still accepted, because load balancers learn late that this
    /// collector stops.
    #[arg(long = flags::DRAIN_GRACE, value_name = "SECONDS", default_value_t = 5)]
    pub drain_grace: u64,
}

/// Arguments of the command `tail`.
#[derive(Clone, Debug, Args)]
pub struct TailArgs {
    /// The manifest, which names the log file.
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// Data folder of the collector, which has the log file.
    #[arg(long, value_name = "DIR", env = flags::DATA_DIR_VARIABLE)]
    pub data_dir: PathBuf,
    /// Number of lines to print.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    pub lines: usize,
    /// Keep printing lines as they are added, until the command is stopped.
    #[arg(short, long)]
    pub follow: bool,
}
