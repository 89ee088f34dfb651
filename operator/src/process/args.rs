//! The command line. Every flag can also be set by an environment variable; the chart uses these.

use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand};
use visnyk_runtime::observe::logging::LogFormat;

/// The operator: creates and repairs the Kubernetes objects of `WebhookRelay` and `Collector` resources.
#[derive(Debug, Parser)]
#[command(name = "visnyk-operator", version, max_term_width = 120)]
pub struct Cli {
    /// Command that the process runs.
    #[command(subcommand)]
    pub command: Command,
}

/// Commands of the operator.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Reconcile resources until SIGTERM, while this process holds the lease. In a pod it uses the service account,
    /// elsewhere KUBECONFIG.
    Run(RunArgs),
    /// Print the custom resource definitions, for `kubectl apply --server-side --filename -`.
    Crds,
    /// Get a URL and print the answer. Exit code 1 unless the status is 200. Used by `helm test`, because the image
    /// has no shell.
    Probe {
        /// URL with plain HTTP, such as `http://visnyk-operator:8080/readyz`.
        #[arg(value_name = "URL")]
        url: http::Uri,
    },
}

/// Arguments of the command `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Images of the workloads.
    #[command(flatten)]
    pub images: Images,
    /// Namespaces whose resources are reconciled, separated by commas. Absent or empty: all. Nothing is read or
    /// written in any other namespace.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', env = "VISNYK_WATCH_NAMESPACES")]
    pub watch_namespaces: Vec<String>,
    /// Namespace of the Lease `visnyk-operator`, which selects the active one of several operators. Absent: that of
    /// the service account or the kubeconfig.
    #[arg(long, value_name = "NAME", env = "VISNYK_LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Name of this operator in the Lease and in Events. It must be unique among running operators.
    #[arg(long, value_name = "NAME", env = "VISNYK_IDENTITY")]
    pub identity: String,
    /// Address for /livez, /readyz, /startupz, /metrics and /status, over plain HTTP. Absent: they are not served.
    #[arg(long, value_name = "IP:PORT", env = "VISNYK_HEALTH")]
    pub health: Option<SocketAddr>,
    /// Format of the log on standard error: text or json. Absent: text on a terminal, else JSON. `RUST_LOG` sets the
    /// level.
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

/// Namespaces whose resources are reconciled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// All namespaces of the cluster.
    All,
    /// These namespaces; never empty.
    Only(Vec<String>),
}

impl RunArgs {
    /// Returns the namespaces whose resources are reconciled. An empty name is ignored: an empty environment variable
    /// is one.
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
