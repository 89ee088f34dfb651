//! `visnyk-operator`: keeps the cluster as `WebhookRelay` and `Collector` resources say.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use visnyk_crds::api::{Collector, WebhookRelay};
use visnyk_crds::schema::definition;
use visnyk_operator::controller;
use visnyk_operator::process::args::{Cli, Command, RunArgs};
use visnyk_operator::process::{probe, run};
use visnyk_runtime::server::drain::Signals;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => start(args),
        Command::Crds => print_definitions(),
        Command::Probe { url } => runtime().and_then(|runtime| Ok(runtime.block_on(probe::probe(&url))?)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("visnyk-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: RunArgs) -> anyhow::Result<()> {
    let runtime = runtime()?;
    // Before anything else: a signal that comes during the start is heard.
    let signals = runtime.block_on(async { Signals::listen() })?;
    let _log = visnyk_runtime::observe::logging::install(args.log_format).context("cannot log")?;
    runtime.block_on(run::run(args, signals, controller::run))?;
    Ok(())
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Runtime::new().context("cannot start threads")
}

fn print_definitions() -> anyhow::Result<()> {
    for definition in [definition::<WebhookRelay>(), definition::<Collector>()] {
        println!("---\n{}", serde_yaml::to_string(&definition)?);
    }
    Ok(())
}
