//! The relay: the way of an event from its sender to every destination.

mod active;
mod admin;
mod app;
mod args;
mod body_kind;
mod client;
mod commands;
mod endpoints;
mod explain;
mod heartbeat;

mod in_flight;
mod intake;
mod kept_headers;
mod metrics;
mod rejection;

mod sources;
mod status;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use visnyk_crds::contract::exit;
use visnyk_crds::{manifest, valid::ValidatedRelay};
use visnyk_engine::deliver::channels::http::credentials;
use visnyk_runtime::guard;
use visnyk_runtime::host::configuration;
use visnyk_runtime::server::{drain::Signals, tls};

use args::{CheckArgs, Cli, Command, DeadLettersCommand, DestinationCommand, ExplainArgs, RunArgs};

/// Runs the command of the command line.
pub fn main() -> ExitCode {
    handle_command(Cli::parse().command).unwrap_or_else(|error| {
        eprintln!("visnyk-relay: {error:#}");
        ExitCode::FAILURE
    })
}

fn handle_command(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    match command {
        Command::Run(args) => {
            // Before anything else: a signal that comes during the start is heard.
            let signals = runtime.block_on(async { Signals::listen() })?;
            return run(&runtime, signals, &args);
        }
        Command::Check(args) => return Ok(check(&args)),
        Command::Explain(args) => return explain_event(&args),
        Command::Status(args) => runtime.block_on(commands::status(&args))?,
        Command::DeadLetters { command: DeadLettersCommand::List(args) } => {
            runtime.block_on(commands::list(&args))?;
        }
        Command::Redrive(args) => runtime.block_on(commands::redrive(&args))?,
        Command::Destination { command: DestinationCommand::Discard(args) } => {
            runtime.block_on(commands::discard(&args))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check(args: &CheckArgs) -> ExitCode {
    let valid = match configuration::load(&args.manifest, manifest::load_relay) {
        Ok(manifest) => manifest.valid,
        Err(error) => return refuse(&error),
    };
    let secrets_dir = args.secrets_dir.as_ref();
    let mistakes = secrets_dir.map(|dir| {
        let of_sources = sources::check(&valid.sources, dir);
        let of_listener = tls::check(&valid.listener, dir);
        [of_listener, of_sources, credentials::check(&valid.destinations, dir)].concat()
    });
    let mistakes = mistakes.unwrap_or_default();
    if !mistakes.is_empty() {
        return refuse(&mistakes.join("\n"));
    }
    for warning in warnings(&valid) {
        eprintln!("warning: {warning}");
    }
    println!("{} is valid", valid.identity.name);
    ExitCode::SUCCESS
}

fn explain_event(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let valid = match configuration::load(&args.manifest, manifest::load_relay) {
        Ok(manifest) => manifest.valid,
        Err(error) => return Ok(refuse(&error)),
    };
    print!("{}", explain::explain(&valid, &explain::read(&args.event)?)?);
    Ok(ExitCode::SUCCESS)
}

/// Returns the warnings of a valid manifest, one line each with its place.
fn warnings(valid: &ValidatedRelay) -> Vec<String> {
    let of_the_manifest = valid.warnings.iter().map(ToString::to_string);
    of_the_manifest.chain(guard::warnings(&valid.destinations)).collect()
}

fn run(runtime: &tokio::runtime::Runtime, signals: Signals, args: &RunArgs) -> anyhow::Result<ExitCode> {
    let start = match configuration::load_to_start(&args.manifest, &args.data_dir, manifest::load_relay) {
        Ok(start) => start,
        Err(error) => return Ok(refuse(&error)),
    };
    let _log = visnyk_runtime::observe::logging::install(None).context("cannot log")?;
    for warning in warnings(&start.manifest.valid) {
        tracing::warn!(warning, "the manifest is valid");
    }
    match runtime.block_on(app::run::run(args.clone(), start, signals)) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            let code = error.exit_code();
            eprintln!("visnyk-relay: {:#}", anyhow::Error::from(error));
            Ok(ExitCode::from(code))
        }
    }
}

/// Prints the mistakes, one line each, and returns exit code 64.
fn refuse(mistakes: &impl std::fmt::Display) -> ExitCode {
    eprintln!("{mistakes}");
    ExitCode::from(exit::BAD_CONFIGURATION)
}
