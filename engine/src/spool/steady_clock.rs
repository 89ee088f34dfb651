//! The steady clock of a spool: milliseconds that only grow, over restarts too. Rules that measure time between events go
//! by it, because the wall clock may jump.

use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds for which relays have run on this spool, from 1. It stands still while no relay runs, goes on while the
/// machine sleeps, and does not follow changes of the wall clock. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct SteadyClock {
    start: Arc<Start>,
}

#[derive(Debug)]
struct Start {
    /// Time of this clock when it began.
    steady_ms: u64,
    /// Time since the machine's boot when it began, in milliseconds.
    boot_ms: u64,
}

impl SteadyClock {
    /// Makes a clock that goes on after `highest_ms`, the highest time that was stored.
    pub(super) fn after(highest_ms: u64) -> Self {
        let start = Start { steady_ms: highest_ms.saturating_add(1), boot_ms: boot_ms() };
        Self { start: Arc::new(start) }
    }

    /// Returns the time of this clock.
    pub fn now_ms(&self) -> u64 {
        self.start.steady_ms.saturating_add(boot_ms().saturating_sub(self.start.boot_ms))
    }
}

/// Returns the time since the machine's boot, in milliseconds, with the time for which it slept.
fn boot_ms() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let [seconds, nanos] = [time.tv_sec, time.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
    seconds * 1_000 + nanos / 1_000_000
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use visnyk_crds::valid::SpoolKind;
    use visnyk_runtime::observe::watchdog::{BOUND, Watchdog};

    use super::*;
    use crate::event::{Envelope, Event, new_id};
    use crate::spool::Spool;

    async fn open(folder: &TempDir) -> Spool {
        let kind = SpoolKind::Ephemeral { size: Some(64 << 20) };
        let ticker = Watchdog::new().register("journal writer", BOUND);
        Spool::open(folder.path(), kind, 64 << 10, ticker).await.unwrap()
    }

    #[tokio::test]
    async fn steady_clock_of_a_spool_goes_on_after_journal_and_state() {
        const STORED: u64 = 5_000_000;
        let folder = TempDir::new().unwrap();
        let spool = open(&folder).await;
        assert!(spool.steady_clock().now_ms() < STORED);
        let envelope = Envelope {
            id: new_id(1),
            received_at_ms: 1,
            steady_ms: STORED,
            source: "network".into(),
            target: "/".into(),
            headers: Vec::new(),
            attributes: Box::default(),
        };
        let record = Event { envelope, body: "{}".into() }.encode();
        spool.parts().journal.append(record).await.unwrap();
        spool.close().await;

        let spool = open(&folder).await;
        assert!(spool.steady_clock().now_ms() > STORED, "the journal's last record");
        spool.configure(&[]).await.unwrap();
        spool.close().await;
        drop(spool);
        std::fs::remove_dir_all(folder.path().join("journal")).unwrap();
        assert!(open(&folder).await.steady_clock().now_ms() > STORED, "the state's last commit");
    }

    #[test]
    fn steady_clock_goes_on_after_the_highest_stored_time() {
        let clock = SteadyClock::after(41);
        let mut before = 41;
        for _ in 0..1_000 {
            let now = clock.now_ms();
            assert!(now > 41 && now >= before, "{now} after {before}");
            before = now;
        }
        assert!(before < 41 + 3_600_000, "it does not count from anything else: {before}");
        assert_eq!(SteadyClock::after(u64::MAX).now_ms(), u64::MAX);
    }
}
