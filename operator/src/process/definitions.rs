//! The custom resource definitions in the API server: reconciles begin once it serves them.

use std::time::Duration;

use kube::{Client, CustomResourceExt};
use tokio::time::sleep;
use tracing::{info, warn};
use visnyk_crds::api::{Collector, GROUP, VERSION, WebhookRelay};
use visnyk_runtime::observe::readiness::{Condition, Readiness};
use visnyk_runtime::observe::watchdog::Ticker;

/// Time between two looks.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The kinds that are not served yet. Each is an unmet condition of readiness.
pub struct Missing(Vec<(String, Condition)>);

impl Missing {
    /// Returns both kinds, as long as the API server was not asked.
    pub fn both(readiness: &Readiness) -> Self {
        let wanted = |plural: String| {
            let waits = readiness.condition(format!("{plural}.{GROUP}"), "not looked for yet");
            (plural, waits)
        };
        let kinds = [WebhookRelay::api_resource(), Collector::api_resource()];
        Self(kinds.into_iter().map(|kind| wanted(kind.plural)).collect())
    }
}

/// Waits until both kinds are served; meanwhile the operator is not ready and says for which it waits. Discovery
/// is open to every account, unlike the definitions themselves.
pub async fn served(client: &Client, Missing(mut missing): Missing, ticker: &Ticker) {
    loop {
        ticker.tick();
        match tokio::time::timeout(POLL_INTERVAL * 5, discover(client)).await {
            Ok(Ok(found)) => {
                missing.retain(|(plural, waits)| !is_met(plural, waits, &found));
                if missing.is_empty() {
                    info!("the API server serves both kinds");
                    return;
                }
            }
            Ok(Err(error)) => blame(&missing, &format!("API server cannot be asked: {error}")),
            Err(_) => blame(&missing, "API server does not answer"),
        }
        sleep(POLL_INTERVAL).await;
    }
}

fn is_met(plural: &String, waits: &Condition, found: &[String]) -> bool {
    let met = found.contains(plural);
    if met {
        waits.met();
    } else {
        waits.unmet("custom resource definition is not installed");
    }
    met
}

fn blame(missing: &[(String, Condition)], reason: &str) {
    warn!(reason, "waiting for the custom resource definitions");
    for (_, waits) in missing {
        waits.unmet(reason);
    }
}

/// Returns the plurals that the API group serves.
async fn discover(client: &Client) -> kube::Result<Vec<String>> {
    match client.list_api_group_resources(&format!("{GROUP}/{VERSION}")).await {
        Ok(list) => Ok(list.resources.into_iter().map(|resource| resource.name).collect()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
