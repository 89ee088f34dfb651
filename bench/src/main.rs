//! `make bench`: the relay beside a server that stores nothing and beside its peers, in interleaved runs on one
//! machine. Everything is on loopback, bounded in time, and ended by id. And `make bench-operator`.

#![allow(clippy::disallowed_methods, reason = "benchmarks connect to the servers that they started")]

mod disk;
mod load;
mod operator;
mod paced;
mod report;
mod servers;
mod subjects;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// Measures Visnyk and its peers side by side.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything and print the table as Markdown.
    Run {
        /// Folder with the release binaries.
        #[arg(long)]
        bin: PathBuf,
        /// The Benthos built from bench/benthos; absent: that row is left out.
        #[arg(long)]
        benthos: Option<PathBuf>,
        /// The load generator with a constant rate; absent: latency at half of the peak is left out.
        #[arg(long)]
        vegeta: Option<PathBuf>,
        /// Length of one load.
        #[arg(long, default_value_t = 6)]
        seconds: u64,
        /// Measurements of each subject.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Connections of the load.
        #[arg(long, value_delimiter = ',', default_value = "16,64,256")]
        connections: Vec<u32>,
    },
    /// Measure the operator on the cluster of KUBECONFIG and print the table as Markdown.
    Operator {
        /// The operator's release binary.
        #[arg(long)]
        bin: PathBuf,
        /// Number of resources, half of them relays and half collectors.
        #[arg(long, default_value_t = 1_000)]
        resources: u32,
        /// For how many seconds they are left alone.
        #[arg(long, default_value_t = 120)]
        idle: u64,
    },
    /// HTTPS by axum and rustls, answering at once and storing nothing.
    Bare {
        /// Address that the server listens on.
        address: SocketAddr,
        /// Path of the certificate chain (PEM).
        certificate: PathBuf,
        /// Path of the private key (PEM).
        key: PathBuf,
    },
    /// A destination that answers at once; `GET /` tells how many it took.
    Sink {
        /// Address that the server listens on.
        address: SocketAddr,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Bare { address, certificate, key } => servers::bare(address, &certificate, &key).await,
        Command::Sink { address } => Ok(visnyk_sinks::counter::serve(address).await?),
        Command::Operator { bin, resources, idle } => {
            let plan = operator::Plan { resources, idle: Duration::from_secs(idle) };
            println!("{}", operator::measure(&bin, plan).await?.markdown());
            Ok(())
        }
        Command::Run { bin, benthos, vegeta, seconds, rounds, connections } => {
            let subjects = subjects::all(&bin, benthos.as_deref())?;
            let plan = load::Plan { seconds, rounds, connections };
            let measured = load::measure(&subjects, &plan)?;
            let paced = vegeta.map(|vegeta| paced::measure(&subjects, &plan, &vegeta)).transpose()?;
            let disk = disk::syncs_per_second(subjects.folder())?;
            println!("{}", report::markdown(&plan, &measured, &paced.unwrap_or_default(), disk));
            Ok(())
        }
    }
}
