//! Heartbeats to destinations: not journalled, not retried, not counted.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};
use visnyk_engine::deliver::fleet::Fleet;
use visnyk_runtime::host::configuration::Configuration;
use visnyk_runtime::observe::watchdog::Ticker;

use crate::active::Active;

/// Time of the last heartbeat, or of the relay's start.
struct Rhythm {
    last: Instant,
}

impl Rhythm {
    /// Returns whether a heartbeat is due. Missed ones are not made up: one that is late by a whole interval, as after
    /// a stall or where the manifest has just asked for heartbeats, begins a new rhythm.
    fn is_due(&mut self, every: Duration, now: Instant) -> bool {
        let due = self.last + every;
        if now < due {
            return false;
        }
        self.last = if now < due + every { due } else { now };
        true
    }
}

/// Interval at which a heartbeat that the manifest adds or changes is noticed.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Sends heartbeats by the active configuration, for as long as it is polled.
pub async fn run(active: Arc<Configuration<Active>>, fleet: Arc<Mutex<Fleet>>, ticker: Ticker) {
    let mut rhythm = Rhythm { last: Instant::now() };
    loop {
        ticker.tick();
        let Some(heartbeat) = active.current().valid.heartbeat.clone() else {
            sleep(POLL_INTERVAL).await;
            continue;
        };
        sleep_until((rhythm.last + heartbeat.every).min(Instant::now() + POLL_INTERVAL)).await;
        if !rhythm.is_due(heartbeat.every, Instant::now()) {
            continue;
        }
        for name in heartbeat.to {
            if let Some(channel) = fleet.lock().await.channel(&name) {
                // Each by itself: a destination that hangs must not delay another's.
                tokio::spawn(async move {
                    match channel.send_heartbeat(Timestamp::now()).await {
                        Ok(_) => debug!(destination = name, "heartbeat sent"),
                        Err(failure) => warn!(destination = name, %failure, "heartbeat failed"),
                    }
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_heartbeats_are_not_made_up() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let every = Duration::from_secs(1);
        let mut rhythm = Rhythm { last: start };
        let beats = |rhythm: &mut Rhythm, now| (0..200).filter(|_| rhythm.is_due(every, now)).count();
        assert_eq!(beats(&mut rhythm, at(999)), 0);
        // A little late, it keeps its rhythm.
        assert_eq!((beats(&mut rhythm, at(1_400)), beats(&mut rhythm, at(2_000))), (1, 1));
        // Asked for after 150 s, or after a stall: one, and the next an interval later.
        assert_eq!((beats(&mut rhythm, at(152_500)), beats(&mut rhythm, at(153_499))), (1, 0));
        assert_eq!(beats(&mut rhythm, at(153_500)), 1);
    }
}
