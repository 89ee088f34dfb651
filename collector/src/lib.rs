//! The collector: a destination that is part of Visnyk. One body becomes one line of a log, synced before its sender
//! gets `200`.

mod access;
mod args;
mod endpoints;
mod ingest;
mod log;
mod reload;
mod run;
mod tail;
#[cfg(test)]
mod testing;

use std::{io::ErrorKind, process::ExitCode};

use anyhow::Context;
use clap::Parser;

use visnyk_crds::contract::exit;
use visnyk_crds::manifest;
use visnyk_runtime::host::configuration::{self, Manifest};
use visnyk_runtime::server::{drain::Signals, tls};

use args::{CheckArgs, Cli, Command, RunArgs, TailArgs};
use tail::{TailError, Until};

/// Runs the command of the command line.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Check(args) => Ok(check(&args)),
        Command::Tail(args) => tail(&args),
    }
    .unwrap_or_else(|error| {
        eprintln!("visnyk-collector: {error:#}");
        ExitCode::FAILURE
    })
}

fn check(args: &CheckArgs) -> ExitCode {
    match configuration::load(&args.manifest, manifest::load_collector) {
        Ok(Manifest { valid, .. }) => {
            let secrets_dir = args.secrets_dir.as_ref();
            let mistakes = secrets_dir.map(|dir| tls::check(&valid.listener, dir)).unwrap_or_default();
            if !mistakes.is_empty() {
                return refuse(&mistakes.join("\n"));
            }
            for warning in &valid.warnings {
                eprintln!("warning: {warning}");
            }
            println!("{} is valid", valid.identity.name);
            ExitCode::SUCCESS
        }
        Err(error) => refuse(&error),
    }
}

fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    // Before anything else: a signal that comes during the start is heard.
    let signals = runtime.block_on(async { Signals::listen() })?;
    let start = match configuration::load_to_start(&args.manifest, &args.data_dir, manifest::load_collector) {
        Ok(start) => start,
        Err(error) => return Ok(refuse(&error)),
    };
    let _log = visnyk_runtime::observe::logging::install(None).context("cannot log")?;
    for warning in &start.manifest.valid.warnings {
        tracing::warn!(%warning, "the manifest is valid");
    }
    runtime.block_on(run::run(args.clone(), start, signals))?;
    Ok(ExitCode::SUCCESS)
}

fn tail(args: &TailArgs) -> anyhow::Result<ExitCode> {
    let configuration =
        match configuration::load_to_start(&args.manifest, &args.data_dir, manifest::load_collector) {
            Ok(start) => start.manifest.valid,
            Err(error) => return Ok(refuse(&error)),
        };
    let until = if args.follow { Until::Stopped } else { Until::Now };
    let path = args.data_dir.join(&configuration.log.path);
    match tail::tail(&path, args.lines, until, &mut std::io::stdout()) {
        // Whoever read has read enough.
        Err(TailError::Print(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        ended => Ok(ended.map(|()| ExitCode::SUCCESS)?),
    }
}

/// Prints the mistakes, one line each, and returns exit code 64.
fn refuse(mistakes: &impl std::fmt::Display) -> ExitCode {
    eprintln!("{mistakes}");
    ExitCode::from(exit::BAD_CONFIGURATION)
}
