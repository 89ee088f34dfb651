//! The home of accepted events: the journal and the state file, opened together, in one folder, by one process.

mod append;
mod steady_clock;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use visnyk_crds::spool_layout::SpoolLayout;
use visnyk_crds::valid::{Destination, SpoolKind, Target};
use visnyk_runtime::observe::watchdog::Ticker;

pub use self::append::Appended;
pub use self::steady_clock::SteadyClock;
use crate::event::{Event, Head};
use crate::journal::{self, Disk, Entry, Folder, Journal, Options, Recovery, SegmentUse};
use crate::state::{
    self, Accepted, Admission, Committer, Configured, DeadLetter, DestinationId, DestinationStatus, EventAt,
    EventReader, Expired, Ledger, Ledgers, Lifecycle, NotCommitted, Redriven, Seen, Select, Seq,
    SharedLedgers, Store, StoreOptions, Wanted,
};
use crate::triage::decisions::{self, Decisions, Segments};

/// The open spool. Clones share it.
#[derive(Clone)]
pub struct Spool {
    parts: SpoolParts,
    committer: Committer,
    seen: Arc<Mutex<Seen>>,
    recovery: Recovery,
    set_aside: Option<PathBuf>,
    state_lost: bool,
    max_body_size: u64,
    steady_clock: SteadyClock,
}

/// Records at the end of the journal that are read for the steady clock: one is enough, if it can be read.
const LAST_RECORDS: u64 = 64;

/// The parts of the spool that are read and changed while events are delivered. Clones share them.
#[derive(Clone)]
pub(crate) struct SpoolParts {
    /// Decisions about the accepted events.
    pub decisions: Arc<Decisions>,
    /// Journal of the accepted events.
    pub journal: Journal,
    /// The state of each destination.
    pub ledgers: SharedLedgers,
    /// Reader of the events that the state file holds.
    pub events: EventReader,
    /// Condition of the state file. Deliveries pause while it is not good.
    pub commit_state: watch::Receiver<state::CommitState>,
}

/// Reason for which a spool cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder cannot be used.
    #[error("spool folder {} cannot be used", path.display())]
    Folder {
        /// Path of the folder.
        path: PathBuf,
        /// Error of the operating system.
        #[source]
        source: io::Error,
    },
    /// Two segments for the largest event do not fit.
    #[error("spec.spool: {size} bytes are too few for bodies of up to {max_body_size} bytes")]
    TooSmall {
        /// Bytes that the spool may use.
        size: u64,
        /// Largest body that is accepted: `spec.listener.maxBodySize`.
        max_body_size: u64,
    },
    /// The state file cannot be opened.
    #[error("state file cannot be opened")]
    State(#[source] state::OpenError),
    /// The journal cannot be opened.
    #[error("journal cannot be opened")]
    Journal(#[source] journal::OpenError),
    /// The decision files cannot be opened.
    #[error("decision files cannot be opened")]
    Decisions(#[source] decisions::OpenError),
}

/// The sum of promise 2, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Events accepted since the journal began.
    pub accepted: u64,
    /// Counts of the events, by destination.
    pub destinations: Vec<DestinationStatus>,
}

impl Spool {
    /// Opens or makes the spool in a folder that this process has locked.
    pub async fn open(
        data_dir: &Path,
        kind: SpoolKind,
        max_body_size: u64,
        ticker: Ticker,
    ) -> Result<Self, SpoolError> {
        let folder = data_dir.join("journal");
        let unusable = |source| SpoolError::Folder { path: folder.clone(), source };
        std::fs::create_dir_all(&folder).map_err(unusable)?;
        let disk = Folder::open(&folder).map_err(unusable)?;
        let size = size(kind, &folder).map_err(unusable)?;
        let layout = SpoolLayout::of(size, max_body_size);
        let SpoolLayout { journal: max_size, segment: segment_size, state: max_bytes } =
            layout.ok_or(SpoolError::TooSmall { size, max_body_size })?;

        let now_ms = Timestamp::now().as_millisecond();
        let (store, mut loaded) =
            Store::open(data_dir, StoreOptions { max_bytes }, now_ms).await.map_err(SpoolError::State)?;
        let seen = Seen::open(std::mem::take(&mut loaded.seen), loaded.seen_through, max_bytes);
        let seen = Arc::new(Mutex::new(seen));
        let options = Options { segment_size, max_size, min_next_seq: loaded.max_seq() + 1 };
        let disk: Arc<dyn Disk> = Arc::new(disk);
        let (journal, recovery) =
            Journal::open(Arc::clone(&disk), &options, move || ticker.tick()).map_err(SpoolError::Journal)?;
        let decisions = Decisions::open(disk, &journal).map_err(SpoolError::Decisions)?;
        journal.view().count_beside(decisions.bytes());
        for note in &recovery.notes {
            tracing::warn!(note, "journal recovered");
        }
        let steady_clock = SteadyClock::after(highest_steady_ms(&journal).max(loaded.steady_ms));
        let set_aside = loaded.set_aside.clone();
        let (ledgers, repairs) = Ledgers::open(loaded, max_bytes, recovery.oldest_seq, now_ms, &journal);
        if repairs.forgot {
            tracing::error!(
                "the state file is lost or forgot destinations: their deliveries repeat, and what they held that the \
                 journal has no more is counted as damaged"
            );
        }
        for name in &repairs.restarted {
            tracing::error!(
                destination = name,
                "state of this destination was damaged: its deliveries repeat"
            );
        }
        for (name, damaged) in &repairs.damaged {
            tracing::error!(destination = name, damaged, "undelivered events cannot be read");
        }

        let events = store.events();
        let ledgers = SharedLedgers::new(ledgers);
        let (free, clock) = (journal.clone(), steady_clock.clone());
        let steady_ms = move || clock.now_ms();
        let free_through = move |through| {
            if let Some(seq) = through {
                free.free_through(seq);
            }
        };
        let watermark = journal.watermark();
        let committer =
            Committer::new(store, ledgers.clone(), Arc::clone(&seen), watermark, steady_ms, free_through);
        let commit_state = committer.commit_state();
        let parts = SpoolParts { decisions: Arc::new(decisions), journal, ledgers, events, commit_state };
        let state_lost = repairs.forgot;
        Ok(Self { parts, committer, seen, recovery, set_aside, state_lost, max_body_size, steady_clock })
    }

    /// Makes the ledgers those of these destinations once that is committed, so that no event accepted from now on is
    /// missing for any of them.
    ///
    /// # Errors
    /// The destinations are those of before, and trying again makes sense.
    pub async fn configure(
        &self,
        destinations: &[Destination],
    ) -> Result<Vec<(DestinationId, Destination)>, NotCommitted> {
        let wanted: Vec<Wanted> = destinations.iter().map(wanted).collect();
        let now_ms = Timestamp::now().as_millisecond();
        let Configured { ids, added, resumed, enabled, removed } =
            self.committer.configure(wanted, now_ms, self.parts.journal.clone()).await?;
        tracing::info!(?added, ?resumed, ?enabled, ?removed, "destinations configured");
        let spool = self.clone();
        // A panic has been reported where it happened; the age of some events is then not known.
        let _ = tokio::task::spawn_blocking(move || spool.look_at_removed()).await;
        Ok(ids.into_iter().zip(destinations.iter().cloned()).collect())
    }

    /// Learns how old the oldest event of each removed destination is. Of the others their dispatchers tell.
    fn look_at_removed(&self) {
        let removed: Vec<_> = {
            let ledgers = self.ledgers();
            let removed =
                ledgers.iter().filter(|ledger| matches!(ledger.lifecycle(), Lifecycle::Removed { .. }));
            removed.map(|ledger| (ledger.id(), ledger.read_from())).collect()
        };
        for (id, after) in removed {
            let mut reader = self.parts.journal.reader(after);
            while let Ok(Some(entry)) = reader.next() {
                let Entry::Record { seq, bytes } = entry else { continue };
                let Ok(head) = Head::read(&bytes) else { continue };
                let begun = self.ledgers().get_mut(id).map(|ledger| ledger.begin(seq, head.received_at_ms));
                if begun != Some(Admission::AlreadyFinished) {
                    break;
                }
            }
        }
    }

    /// Commits what changes until `stop`; calls `tick` each second.
    pub async fn keep_state(&self, stop: CancellationToken, tick: impl Fn()) {
        self.committer.clone().run(stop, tick).await;
    }

    /// Commits everything that changed until now.
    pub async fn commit_now(&self) -> Result<(), NotCommitted> {
        self.committer.commit_now().await
    }

    /// Ends the journal's writer.
    pub async fn close(&self) {
        self.parts.journal.clone().close().await;
    }

    /// Drops every undelivered event of a destination that no dispatcher serves. Returns the number of dropped events.
    pub fn discard(&self, id: DestinationId) -> u64 {
        let mut ledgers = self.ledgers();
        ledgers.get_mut(id).map_or(0, |ledger| ledger.discard(Seq::MAX, &self.parts.journal))
    }

    /// Makes dead letters of a destination pending again, due at `now_ms`, with no attempt counted.
    pub fn redrive(&self, id: DestinationId, select: Select<'_>, now_ms: i64) -> Redriven {
        self.ledgers().get_mut(id).map(|ledger| ledger.redrive(select, now_ms)).unwrap_or_default()
    }

    /// Returns the id and the name of each destination, removed ones included.
    pub fn destinations(&self) -> Vec<(DestinationId, String)> {
        self.ledgers().iter().map(|ledger| (ledger.id(), ledger.name().to_owned())).collect()
    }

    /// Returns the dead letters of a destination, oldest first.
    pub fn dead_letters(&self, id: DestinationId) -> Vec<DeadLetter> {
        self.ledgers().get(id).map(|ledger| ledger.dead_letters().collect()).unwrap_or_default()
    }

    /// Reads an event that the state file holds for a destination: a waiting one or a dead letter. `None`: it is not
    /// there, or cannot be read.
    pub async fn held_event(&self, id: DestinationId, seq: Seq) -> Option<Event> {
        let at = self.ledgers().get(id)?.event(seq)?;
        let record = match at {
            EventAt::Memory(record) => record,
            EventAt::Stored(at) => self.parts.events.read(at).await.ok()?,
        };
        Event::decode(&record).ok()
    }

    /// Forgets destinations that have been removed for longer than `retain`, and drops the events that they still had.
    /// Those that the active configuration names, `in_force`, stay. `elapsed` is the time since the last call, by a
    /// monotonic clock.
    pub fn expire(&self, retain: Duration, elapsed: Duration, in_force: &[Destination]) -> Vec<Expired> {
        let [retain_ms, elapsed_ms] =
            [retain, elapsed].map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        let in_force = in_force.iter().map(|destination| &*destination.name).collect();
        self.ledgers().expire(retain_ms, elapsed_ms, &in_force, &self.parts.journal)
    }

    /// Returns the parts that deliveries work with.
    pub(crate) fn parts(&self) -> &SpoolParts {
        &self.parts
    }

    fn ledgers(&self) -> MutexGuard<'_, Ledgers> {
        self.parts.ledgers.lock()
    }

    /// Returns why no event can be accepted now. Of a full journal it names the destination whose undelivered events
    /// are the oldest in it: until these are delivered or discarded, nothing is freed.
    pub fn problem(&self) -> Option<String> {
        match self.parts.journal.write_state() {
            journal::WriteState::Writable => None,
            journal::WriteState::Failing { reason } => Some(reason),
            journal::WriteState::Full => {
                let ledgers = self.parts.ledgers.lock_unnoticed();
                let holder = ledgers.holder_of_oldest(&self.parts.journal).map(Ledger::name);
                let of = |name| format!("full: its oldest undelivered event is for destination {name:?}");
                Some(holder.map_or_else(|| "full".into(), of))
            }
        }
    }

    /// Returns the condition of the state file, as it changes.
    pub fn commit_state(&self) -> watch::Receiver<state::CommitState> {
        self.parts.commit_state.clone()
    }

    /// Returns the length of the largest body whose event fits a segment.
    pub fn max_body_size(&self) -> u64 {
        self.max_body_size
    }

    /// Returns the clock that gives each event its steady time.
    pub fn steady_clock(&self) -> &SteadyClock {
        &self.steady_clock
    }

    /// Returns the findings of its opening.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Returns the path of the state file that was set aside, if one was.
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }

    /// Returns whether the state file had lost the positions of destinations when it was opened.
    pub fn state_lost(&self) -> bool {
        self.state_lost
    }

    /// Returns the sum of promise 2. Every number is of the same moment.
    pub fn snapshot(&self) -> Snapshot {
        let ledgers = self.ledgers();
        let moment = Moment {
            journal: &self.parts.journal,
            decided_to: self.parts.decisions.decided_to(),
            watermark: Accepted::watermark(&self.parts.journal),
        };
        let accepted = moment.accepted_through(moment.watermark);
        Snapshot { accepted, destinations: ledgers.snapshot(&moment) }
    }
}

/// Returns the highest steady time in the last records of the journal, in milliseconds. Records that cannot be read tell
/// none.
fn highest_steady_ms(journal: &Journal) -> u64 {
    let mut reader = journal.reader(Accepted::watermark(journal).saturating_sub(LAST_RECORDS));
    let mut highest = 0;
    while let Ok(Some(entry)) = reader.next() {
        if let Entry::Record { bytes, .. } = entry {
            highest = Head::read(&bytes).map_or(0, |head| head.steady_ms).max(highest);
        }
    }
    highest
}

/// The journal as it is at one moment, however it grows meanwhile.
struct Moment<'a> {
    journal: &'a Journal,
    watermark: Seq,
    decided_to: Seq,
}

impl Accepted for Moment<'_> {
    fn watermark(&self) -> Seq {
        self.watermark
    }

    fn accepted_through(&self, seq: Seq) -> u64 {
        self.journal.accepted_through(seq)
    }

    fn decided_to(&self) -> Seq {
        self.decided_to
    }
}

impl Segments for Journal {
    fn owner(&self, seq: Seq) -> Option<SegmentUse> {
        self.view().owner(seq)
    }

    fn oldest(&self) -> Option<SegmentUse> {
        self.view().oldest()
    }
}

impl Accepted for Journal {
    fn watermark(&self) -> Seq {
        *Journal::watermark(self).borrow()
    }

    fn accepted_through(&self, seq: Seq) -> u64 {
        Journal::accepted_through(self, seq)
    }
}

/// Returns the bytes that the spool may use: the configured size, but never more than the file system has.
fn size(kind: SpoolKind, folder: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    let whole = stat.f_blocks.saturating_mul(stat.f_frsize);
    Ok(match kind {
        SpoolKind::Persistent { size } | SpoolKind::Ephemeral { size: Some(size) } => size.min(whole),
        SpoolKind::Ephemeral { size: None } => whole,
    })
}

fn wanted(destination: &Destination) -> Wanted {
    let fingerprint = match &destination.target {
        Target::Url(url) => url.to_string(),
        Target::Service { namespace, name, url } => format!("service {namespace}/{name} {url}"),
        Target::Collector { namespace, name } => format!("collector {namespace}/{name}"),
    };
    Wanted { name: destination.name.clone(), fingerprint }
}

#[cfg(test)]
mod formats;
#[cfg(test)]
mod tests;
