//! The command line: one binary that runs the relay, checks its manifest, and speaks to a running one.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use uuid::Uuid;
use visnyk_crds::contract::{flags, paths};
use visnyk_runtime::host::configuration::ManifestArgs;

/// Receives webhooks, keeps each one on disk before it says so, and delivers it to every destination.
#[derive(Debug, Parser)]
#[command(name = "visnyk-relay", version, max_term_width = 120)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the relay that a manifest describes, until SIGTERM.
    Run(RunArgs),
    /// Print every mistake of a manifest with its place, and end with 64 if there is one.
    Check(CheckArgs),
    /// Print what became of the accepted events: the numbers of `/status`.
    Status(AdminArgs),
    /// Look at events that no attempt could deliver.
    DeadLetters {
        /// What to do with them.
        #[command(subcommand)]
        command: DeadLettersCommand,
    },
    /// Deliver dead letters after all: they wait again, due at once, under the same webhook-id.
    Redrive(RedriveArgs),
    /// Act on one destination.
    Destination {
        /// What to do with it.
        #[command(subcommand)]
        command: DestinationCommand,
    },
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
    /// Folder for accepted events, their state, the admin socket and a self-signed CA. One process per folder.
    #[arg(long = flags::DATA_DIR, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Folder with the Secrets that the manifest names, as files `<secret>/<key>`.
    #[arg(long = flags::SECRETS_DIR, value_name = "DIR", default_value = paths::SECRETS_DIR)]
    pub secrets_dir: PathBuf,
    /// Folder with the Collectors that the manifest refers to, as files
    /// `<namespace>.<name>.url`, `.ca.crt`, `.tls.crt` and `.tls.key`.
    #[arg(long = flags::PEERS_DIR, value_name = "DIR", default_value = paths::PEERS_DIR)]
    pub peers_dir: PathBuf,
    /// Folder where somebody else keeps the certificate of `selfSigned` fresh, as files tls.crt and tls.key;
    /// without it, one is made in the data folder.
    #[arg(long = flags::TLS_DIR, value_name = "DIR")]
    pub tls_dir: Option<PathBuf>,
    /// Accept nothing: deliver what is pending, and end once nothing is; with 0 if all was delivered, with 3 if dead
    /// letters or damaged events are left.
    #[arg(long = flags::DELIVER_ONLY)]
    pub deliver_only: bool,
    /// Serve /livez, /readyz, /startupz, /metrics and /status here, over plain HTTP.
    #[arg(long = flags::HEALTH, value_name = "IP:PORT")]
    pub health: Option<SocketAddr>,
    /// Address to listen on; the port is the manifest's.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V6(Ipv6Addr::UNSPECIFIED))]
    pub address: IpAddr,
    /// After SIGTERM, keep accepting for so long, since load balancers learn late that this relay is going.
    #[arg(long = flags::DRAIN_GRACE, value_name = "SECONDS", default_value_t = 5)]
    pub drain_grace: u64,
}

/// Which running relay.
#[derive(Clone, Debug, Args)]
pub struct AdminArgs {
    /// The data folder of the running relay; its admin socket is in it.
    #[arg(long, value_name = "DIR", env = flags::DATA_DIR_VARIABLE)]
    pub data_dir: PathBuf,
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// Print dead letters, oldest first, a line of JSON each.
    List(ListArgs),
}

/// Which dead letters to print.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// The running relay.
    #[command(flatten)]
    pub admin: AdminArgs,
    /// Only those of this destination.
    #[arg(long)]
    pub destination: Option<String>,
    /// Print each event's headers and body too, as text.
    #[arg(long)]
    pub bodies: bool,
}

/// Which dead letters to deliver after all.
#[derive(Clone, Debug, Args)]
pub struct RedriveArgs {
    /// The running relay.
    #[command(flatten)]
    pub admin: AdminArgs,
    /// The destination whose dead letters these are.
    #[arg(long)]
    pub destination: String,
    /// Ids of events; none: all of the destination's dead letters.
    #[arg(value_name = "EVENT")]
    pub events: Vec<Uuid>,
}

/// What to do with a destination.
#[derive(Debug, Subcommand)]
pub enum DestinationCommand {
    /// Drop every event not yet delivered to it; they are counted as dropped. Dead letters stay.
    Discard(DiscardArgs),
}

/// Whose events to drop.
#[derive(Clone, Debug, Args)]
pub struct DiscardArgs {
    /// The running relay.
    #[command(flatten)]
    pub admin: AdminArgs,
    /// The destination, which may already be gone from the manifest.
    pub destination: String,
}
