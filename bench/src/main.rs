//! `make bench`: the relay beside a server that stores nothing and beside its peers, in interleaved runs on one
//! machine. Everything is on loopback, bounded in time, and ended by id. And `make bench-operator`.

#![allow(clippy::disallowed_methods, reason = "benchmarks connect to the servers that they started")]

mod arena;
mod disk;
mod load;
mod operator;
mod paced;
mod process;
mod report;
mod servers;
mod subjects;
mod wrk;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::arena::{Arena, Binaries};
use crate::load::Plan;
use crate::servers::Certificate;
use crate::subjects::SinkKind;

/// Measures Visnyk and its peers side by side.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything and print the tables as Markdown.
    Run(Run),
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
        /// Address to listen on.
        address: SocketAddr,
        #[command(flatten)]
        certificate: Certificate,
    },
    /// Destinations, one for each kind that is named, on the ports above the one where a GET tells what they took.
    Sinks {
        /// Address to listen on.
        host: IpAddr,
        /// Port of the counts.
        count_port: u16,
        /// Behaviour of the next destination.
        #[arg(long = "kind")]
        kinds: Vec<SinkKind>,
        #[command(flatten)]
        certificate: Certificate,
    },
}

#[derive(Args, Debug)]
struct Run {
    /// Folder with the release binaries.
    #[arg(long)]
    bin: PathBuf,
    /// The relay that bench/baseline names; absent: its rows are left out.
    #[arg(long)]
    before: Option<PathBuf>,
    /// The Benthos built from bench/benthos; absent: that row is left out.
    #[arg(long)]
    benthos: Option<PathBuf>,
    /// The load generator with a constant rate; absent: latency at half of the peak is left out.
    #[arg(long)]
    vegeta: Option<PathBuf>,
    /// Length of one load.
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// Measurements of each row.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Connections of the load, for the tables of accepting.
    #[arg(long, value_delimiter = ',', default_value = "16,64,256")]
    connections: Vec<u32>,
    /// Tables that are measured.
    #[arg(long, value_delimiter = ',', default_value = "accept,deliver,half-of-peak")]
    tables: Vec<Kind>,
    /// Rows to measure: those whose title contains one of these texts, and the first of each table; absent: all.
    #[arg(long)]
    rows: Vec<String>,
}

/// Table that can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Accept,
    Deliver,
    HalfOfPeak,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Bare { address, certificate } => servers::bare(address, &certificate).await,
        Command::Sinks { host, count_port, kinds, certificate } => {
            servers::sinks(host, count_port, &kinds, &certificate).await
        }
        Command::Operator { bin, resources, idle } => {
            let plan = operator::Plan { resources, idle: Duration::from_secs(idle) };
            println!("{}", operator::measure(&bin, plan).await?.markdown());
            Ok(())
        }
        Command::Run(run) => measure(run),
    }
}

fn measure(run: Run) -> anyhow::Result<()> {
    let arena = Arena::prepare(Binaries { bin: run.bin, before: run.before, benthos: run.benthos })?;
    let plan = Plan { seconds: run.seconds, rounds: run.rounds };
    println!("{}", report::introduction(plan, disk::syncs_per_second(arena.folder())?));
    let tables = [
        (Kind::Accept, subjects::accept(&run.connections, arena.peers())),
        (Kind::Deliver, subjects::deliver(arena.peers())),
    ];
    for (kind, table) in tables {
        if run.tables.contains(&kind) {
            let table = table.with_rows(&run.rows);
            println!("{}", report::table(&table, &load::measure(&arena, &table, plan)?));
        }
    }
    if let Some(vegeta) = run.vegeta.filter(|_| run.tables.contains(&Kind::HalfOfPeak)) {
        let subjects = subjects::paced();
        println!("{}", report::half_of_peak(&subjects, &paced::measure(&arena, &subjects, plan, &vegeta)?));
    }
    Ok(())
}
