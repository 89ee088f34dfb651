//! `visnyk-relay`: the way of an event from its sender to every destination.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use visnyk_crds::manifest;

/// What sysexits.h calls a usage error: the manifest has to change before another try makes sense.
const BAD_CONFIGURATION: u8 = 64;

/// Receives webhooks, keeps each one on disk before it says so, and delivers it to every destination.
#[derive(Debug, Parser)]
#[command(name = "visnyk-relay", version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print every mistake of a manifest with its place, and end with 64 if there is one.
    Check(ManifestArgs),
}

/// Which resource of which file.
#[derive(Clone, Debug, Args)]
struct ManifestArgs {
    /// YAML file with the `WebhookRelay`; other resources in it are passed over.
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// metadata.name of the `WebhookRelay`, where the file holds several.
    #[arg(long)]
    name: Option<String>,
}

fn main() -> ExitCode {
    let Command::Check(args) = Cli::parse().command;
    check(&args)
}

fn check(args: &ManifestArgs) -> ExitCode {
    let text = match std::fs::read_to_string(&args.manifest) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{}: {error}", args.manifest.display());
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    match manifest::load_relay(&text, args.name.as_deref()) {
        Ok(relay) => {
            println!("{} is valid, configuration {}", relay.identity.name, relay.identity.configuration_hash);
            ExitCode::SUCCESS
        }
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            ExitCode::from(BAD_CONFIGURATION)
        }
    }
}
