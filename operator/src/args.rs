//! The command line. Every flag can be an environment variable, which is how the chart sets them.

use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand};
use visnyk_runtime::observe::logging::LogFormat;

/// Keeps the cluster as `WebhookRelay` and `Collector` resources say.
#[derive(Debug, Parser)]
#[command(name = "visnyk-operator", version, max_term_width = 120)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Reconcile until SIGTERM, while the lease is ours. In a pod as its service account, elsewhere as KUBECONFIG says.
    Run(RunArgs),
    /// Print the custom resource definitions, for `kubectl apply --server-side --filename -`.
    Crds,
    /// Get a URL and print the answer; end with 1 unless it is 200. For `helm test`, in an image without a shell.
    Probe {
        /// Plain HTTP, such as `http://visnyk-operator:8080/readyz`.
        #[arg(value_name = "URL")]
        url: http::Uri,
    },
}

/// How to run.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// What the workloads run.
    #[command(flatten)]
    pub images: Images,
    /// Namespaces to look after, separated by commas; absent or empty: all. In all others nothing is read or written.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', env = "VISNYK_WATCH_NAMESPACES")]
    pub watch_namespaces: Vec<String>,
    /// Namespace of the Lease `visnyk-operator`, by which one of several operators leads; absent: that of the
    /// service account or the kubeconfig.
    #[arg(long, value_name = "NAME", env = "VISNYK_LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Who we are in the Lease and in Events: unique among running operators.
    #[arg(long, value_name = "NAME", env = "VISNYK_IDENTITY")]
    pub identity: String,
    /// Serve /livez, /readyz, /startupz, /metrics and /status here, over plain HTTP.
    #[arg(long, value_name = "IP:PORT", env = "VISNYK_HEALTH")]
    pub health: Option<SocketAddr>,
    /// How the log on standard error looks; absent: text on a terminal, else JSON. `RUST_LOG` says what is in it.
    #[arg(long, value_name = "FORMAT", env = "VISNYK_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// The images of the workloads, unless a resource names its own in `spec.pod.image`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Images {
    /// Image of the relay.
    #[arg(long = "relay-image", value_name = "IMAGE", env = "VISNYK_RELAY_IMAGE")]
    pub relay: String,
    /// Image of the collector.
    #[arg(long = "collector-image", value_name = "IMAGE", env = "VISNYK_COLLECTOR_IMAGE")]
    pub collector: String,
}

/// Where resources are looked after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// Everywhere.
    All,
    /// In these, of which there is at least one.
    Only(Vec<String>),
}

impl RunArgs {
    /// Where resources are looked after. An empty name is none: so says an empty environment variable.
    pub fn namespaces(&self) -> Namespaces {
        let mut named: Vec<String> =
            self.watch_namespaces.iter().filter(|name| !name.is_empty()).cloned().collect();
        named.sort();
        named.dedup();
        if named.is_empty() { Namespaces::All } else { Namespaces::Only(named) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespaces(watched: &[&str]) -> Namespaces {
        let required = ["visnyk-operator", "run", "--relay-image=r", "--collector-image=c", "--identity=me"];
        let cli = Cli::parse_from(required.iter().chain(watched));
        let Command::Run(args) = cli.command else { panic!("run was asked for") };
        args.namespaces()
    }

    #[test]
    fn namespaces_are_all_unless_some_are_named() {
        assert_eq!(namespaces(&[]), Namespaces::All);
        assert_eq!(namespaces(&["--watch-namespaces="]), Namespaces::All);
        let named = Namespaces::Only(vec!["apps".into(), "it".into()]);
        assert_eq!(namespaces(&["--watch-namespaces=it,apps,it"]), named);
    }
}
