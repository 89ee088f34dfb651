//! The sign of life: not journalled, not retried, not counted.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};
use visnyk_crds::valid::ValidatedRelay;
use visnyk_engine::configuration::Configuration;
use visnyk_engine::deliver::fleet::Fleet;
use visnyk_engine::observe::watchdog::Ticker;

/// How soon a heartbeat that the manifest adds or changes is noticed.
const LOOK: std::time::Duration = std::time::Duration::from_secs(1);

/// Sends heartbeats as the configuration in force says, for as long as it is polled.
pub async fn run(
    configuration: Arc<Configuration<ValidatedRelay>>,
    fleet: Arc<Mutex<Fleet>>,
    ticker: Ticker,
) {
    let mut last = Instant::now();
    loop {
        ticker.tick();
        let Some(heartbeat) = configuration.current().heartbeat.clone() else {
            sleep(LOOK).await;
            continue;
        };
        let due = last + heartbeat.every;
        sleep_until(due.min(Instant::now() + LOOK)).await;
        if Instant::now() < due {
            continue;
        }
        last = due;
        for name in heartbeat.to {
            if let Some(sender) = fleet.lock().await.sender(&name) {
                // Each by itself: a destination that hangs must not delay another's.
                tokio::spawn(async move {
                    match sender.send_heartbeat(Timestamp::now()).await {
                        Ok(_) => debug!(destination = name, "heartbeat sent"),
                        Err(failure) => warn!(destination = name, %failure, "heartbeat failed"),
                    }
                });
            }
        }
    }
}
