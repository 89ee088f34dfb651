//! Every loop that an event depends on ticks here; `/livez` fails when one has not for too long,
//! and the kubelet then restarts the process: a hung process must not count as running.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Loops tick at least every other second; this long without means that one hangs. A sync on a busy disk may take seconds,
/// and a restart would not make it faster. `/livez` is to fail within 30 s, however seldom it is asked.
pub const BOUND: Duration = Duration::from_secs(25);

/// The loops of one process. Clones share them.
#[derive(Clone, Debug)]
pub struct Watchdog {
    began: Instant,
    loops: Arc<Mutex<Vec<Arc<Loop>>>>,
}

#[derive(Debug)]
struct Loop {
    name: String,
    bound: Duration,
    /// Milliseconds from the watchdog's start to the last tick; [`NOT_YET`] before the first.
    ticked_at: AtomicU64,
}

/// Value before the first tick. It is later than any moment, so that the loop does not count as silent.
const NOT_YET: u64 = u64::MAX;

/// Handle by which a loop ticks. Dropping it ends the watch, because the loop has ended as it should.
#[derive(Debug)]
pub struct Ticker {
    watchdog: Watchdog,
    entry: Arc<Loop>,
}

/// A loop that has not ticked within its bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleLoop {
    /// Name that the loop was registered with.
    pub name: String,
    /// The time since its last tick.
    pub silent: Duration,
}

impl fmt::Display for StaleLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: no tick for {:?}", self.name, self.silent)
    }
}

impl Watchdog {
    /// Makes a watchdog that watches no loop yet.
    pub fn new() -> Self {
        Self { began: Instant::now(), loops: Arc::default() }
    }

    /// Watches a loop that promises to tick at least once per `bound`, beginning now.
    pub fn register(&self, name: impl Into<String>, bound: Duration) -> Ticker {
        self.watch(name.into(), bound, millis(self.now()))
    }

    /// Registers a loop that begins once the things that it needs are there, however long that takes.
    pub fn register_early(&self, name: impl Into<String>, bound: Duration) -> Ticker {
        self.watch(name.into(), bound, NOT_YET)
    }

    fn watch(&self, name: String, bound: Duration, ticked_at: u64) -> Ticker {
        let entry = Arc::new(Loop { name, bound, ticked_at: AtomicU64::new(ticked_at) });
        self.loops.lock().unwrap_or_else(PoisonError::into_inner).push(entry.clone());
        Ticker { watchdog: self.clone(), entry }
    }

    /// Returns the loops that have not ticked within their bound, in the order they were registered.
    pub fn stale(&self) -> Vec<StaleLoop> {
        let now = self.now();
        let silent =
            |entry: &Loop| now.saturating_sub(Duration::from_millis(entry.ticked_at.load(Ordering::Relaxed)));
        let loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        loops
            .iter()
            .filter(|entry| silent(entry) > entry.bound)
            .map(|entry| StaleLoop { name: entry.name.clone(), silent: silent(entry) })
            .collect()
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Default for Watchdog {
    fn default() -> Self {
        Self::new()
    }
}

impl Ticker {
    /// Records that the loop runs. It costs one clock reading and one relaxed store.
    pub fn tick(&self) {
        #[cfg(debug_assertions)]
        super::stall::hang_if_named(&self.entry.name);
        self.entry.ticked_at.store(millis(self.watchdog.now()), Ordering::Relaxed);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // A loop that panicked has not ended as it should: it stays, grows stale, and the process is restarted.
        if std::thread::panicking() {
            return;
        }
        let mut loops = self.watchdog.loops.lock().unwrap_or_else(PoisonError::into_inner);
        loops.retain(|entry| !Arc::ptr_eq(entry, &self.entry));
    }
}

/// Returns a duration in milliseconds, for an atomic.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    #[test]
    fn silent_loop_is_stale_and_ticking_one_is_not() {
        let watchdog = Watchdog::new();
        let silent = watchdog.register("journal writer", Duration::ZERO);
        let _other = watchdog.register("accept loop", LONG);
        while millis(silent.watchdog.now()) == 0 {
            std::thread::yield_now();
        }
        let names: Vec<_> = watchdog.stale().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["journal writer"]);
    }

    #[test]
    fn tick_makes_a_loop_fresh_again() {
        let watchdog = Watchdog::new();
        let ticker = watchdog.register("dispatcher", Duration::from_millis(20));
        while watchdog.stale().is_empty() {
            std::thread::yield_now();
        }
        ticker.tick();
        assert_eq!(watchdog.stale(), []);
    }

    #[test]
    fn loop_that_is_registered_early_is_watched_from_its_first_tick_on() {
        let watchdog = Watchdog::new();
        let other = watchdog.register("accept loop", Duration::ZERO);
        let early = watchdog.register_early("journal writer", Duration::ZERO);
        let stale = || watchdog.stale().into_iter().map(|entry| entry.name).collect::<Vec<_>>();
        while stale().is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(stale(), ["accept loop"]);
        drop(other);
        early.tick();
        while stale().is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(stale(), ["journal writer"]);
    }

    #[test]
    fn loop_that_panicked_is_stale() {
        let watchdog = Watchdog::new();
        let ticker = watchdog.register("dispatcher", Duration::ZERO);
        let ended = std::thread::spawn(move || {
            ticker.tick();
            panic!("as a broken loop does");
        });
        assert!(ended.join().is_err());
        while watchdog.stale().is_empty() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn ended_loop_is_no_longer_watched() {
        let watchdog = Watchdog::new();
        let ticker = watchdog.register("dispatcher", Duration::ZERO);
        while watchdog.stale().is_empty() {
            std::thread::yield_now();
        }
        drop(ticker);
        assert_eq!(watchdog.stale(), []);
    }
}
