//! The command line: one binary that runs the relay, checks its manifest, and controls a running one.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use uuid::Uuid;
use visnyk_crds::contract::{flags, paths};
use visnyk_runtime::host::configuration::ManifestArgs;

/// A webhook relay: stores each webhook on disk before it answers 2xx, and delivers it to every destination.
///
/// Exit codes: 0 success, 1 failure, 2 wrong arguments, 64 a manifest that is not valid. `--deliver-only` ends with 3
/// if events are left that could not be delivered.
#[derive(Debug, Parser)]
#[command(name = "visnyk-relay", version, max_term_width = 120)]
pub struct Cli {
    /// Command that the process runs.
    #[command(subcommand)]
    pub command: Command,
}

/// Commands of the relay.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the relay that a manifest describes, until SIGTERM.
    Run(RunArgs),
    /// Check a manifest: print every mistake with its place and end with 64, or print that it is valid. Nothing is
    /// started.
    Check(CheckArgs),
    /// Print what the rules of a manifest would do with an event: which rule matches and why, the priority, and the
    /// destinations that get it. Nothing is sent or stored.
    Explain(ExplainArgs),
    /// Print the state of a running relay as JSON: events per destination, and what it waits for (`/status`).
    Status(AdminArgs),
    /// List dead letters: events that could not be delivered.
    DeadLetters {
        /// Command for dead letters.
        #[command(subcommand)]
        command: DeadLettersCommand,
    },
    /// Deliver dead letters again: they are due at once, with the same webhook-id, and get a new retry schedule.
    Redrive(RedriveArgs),
    /// Control one destination.
    Destination {
        /// Command for the destination.
        #[command(subcommand)]
        command: DestinationCommand,
    },
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

/// Arguments of the command `explain`.
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// Manifest with the rules.
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// File with the event as JSON: `source`, and optionally `target` (path and query), `received` (a time), `headers`,
    /// `attributes`, and `body` (JSON) or `text` (any other body).
    #[arg(long, value_name = "FILE")]
    pub event: PathBuf,
}

/// Arguments of the command `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// File and name of the resource.
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// Folder for accepted events, delivery state, the admin socket and the self-signed CA. Undelivered events are
    /// lost with it. Only one process may use it.
    #[arg(long = flags::DATA_DIR, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Folder with the Secrets that the manifest names, as files `<secret>/<key>`. Changes are picked up within a
    /// second.
    #[arg(long = flags::SECRETS_DIR, value_name = "DIR", default_value = paths::SECRETS_DIR)]
    pub secrets_dir: PathBuf,
    /// Folder with the addresses and certificates of the Collectors that the manifest names, as files
    /// `<namespace>.<name>.url`, `.ca.crt`, `.tls.crt` and `.tls.key`, and with the IP addresses of Services, as files
    /// `<namespace>.<name>.addresses`.
    #[arg(long = flags::PEERS_DIR, value_name = "DIR", default_value = paths::PEERS_DIR)]
    pub peers_dir: PathBuf,
    /// Folder with the certificate for `tls.selfSigned`, as files tls.crt and tls.key, which another program renews.
    /// Absent: the relay makes a CA and a certificate in the data folder.
    #[arg(long = flags::TLS_DIR, value_name = "DIR")]
    pub tls_dir: Option<PathBuf>,
    /// Accept no requests: deliver the pending events and end. Exit code 0 if all were delivered, 3 if dead letters
    /// or damaged events are left.
    #[arg(long = flags::DELIVER_ONLY)]
    pub deliver_only: bool,
    /// Address for /livez, /readyz, /startupz, /metrics and /status, over plain HTTP, for example 127.0.0.1:9090.
    /// Absent: they are not served.
    #[arg(long = flags::HEALTH, value_name = "IP:PORT")]
    pub health: Option<SocketAddr>,
    /// IP address to listen on. The port is the manifest's `listener.port`.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V6(Ipv6Addr::UNSPECIFIED))]
    pub address: IpAddr,
    /// Seconds after SIGTERM during which requests are still accepted, because load balancers learn late that this
    /// relay stops.
    #[arg(long = flags::DRAIN_GRACE, value_name = "SECONDS", default_value_t = 5)]
    pub drain_grace: u64,
}

/// Address of a running relay.
#[derive(Clone, Debug, Args)]
pub struct AdminArgs {
    /// Data folder of the running relay, which has its admin socket.
    #[arg(long, value_name = "DIR", env = flags::DATA_DIR_VARIABLE)]
    pub data_dir: PathBuf,
}

/// Commands for dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// Print dead letters, oldest first, one line of JSON each.
    List(ListArgs),
}

/// Arguments of `dead-letters list`.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Data folder of the running relay.
    #[command(flatten)]
    pub admin: AdminArgs,
    /// Name of a destination. Absent: the dead letters of all destinations.
    #[arg(long)]
    pub destination: Option<String>,
    /// Also print each event's headers and body, as text.
    #[arg(long)]
    pub bodies: bool,
}

/// Arguments of the command `redrive`.
#[derive(Clone, Debug, Args)]
pub struct RedriveArgs {
    /// Data folder of the running relay.
    #[command(flatten)]
    pub admin: AdminArgs,
    /// Name of the destination whose dead letters are delivered again.
    #[arg(long)]
    pub destination: String,
    /// Ids of the events, as `dead-letters list` prints them. Absent: all dead letters of the destination.
    #[arg(value_name = "EVENT")]
    pub events: Vec<Uuid>,
}

/// Commands for a destination.
#[derive(Debug, Subcommand)]
pub enum DestinationCommand {
    /// Drop every undelivered event of a destination. They are counted as dropped and cannot be restored. Dead
    /// letters stay.
    Discard(DiscardArgs),
}

/// Arguments of `destination discard`.
#[derive(Clone, Debug, Args)]
pub struct DiscardArgs {
    /// Data folder of the running relay.
    #[command(flatten)]
    pub admin: AdminArgs,
    /// Name of the destination. It may already be removed from the manifest.
    pub destination: String,
}
