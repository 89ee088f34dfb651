//! The chart as it is installed for all tests, and the account of its operator.

use crate::kubectl;

/// The namespace of the release.
pub const SYSTEM: &str = "visnyk-system";
/// Name of the Helm release.
pub const RELEASE: &str = "visnyk";
/// User name of the operator at the API server.
pub const ACCOUNT: &str = "system:serviceaccount:visnyk-system:visnyk-operator";
/// The chart of this tree.
pub const CHART: &str = "charts/visnyk";

/// Installs a chart or brings the release to it, with these settings and no others, and waits until it runs.
///
/// # Panics
/// When helm does.
pub async fn install(chart: &str, settings: &[&str]) {
    let mut args = vec!["upgrade", "--install", RELEASE, chart, "--namespace", SYSTEM, "--create-namespace"];
    args.extend(["--reset-values", "--wait", "--timeout", "3m"]);
    args.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    kubectl::run("helm", &args).await;
}

/// Removes the release, if there is one, and waits until it is gone.
///
/// # Panics
/// When helm does.
pub async fn uninstall() {
    let args =
        ["uninstall", RELEASE, "--namespace", SYSTEM, "--ignore-not-found", "--wait", "--timeout", "3m"];
    kubectl::run("helm", &args).await;
}
