//! Appends accepted events, and recognizes repeats of them.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;
use visnyk_crds::valid::Deduplicate;

use super::Spool;
use crate::event::{Event, Key, NewEvent};
use crate::journal::{AppendError, Appending, Entry, ReadError};
use crate::state::{First, Seen, SeenEvent, Seq};

/// The outcome of [`Spool::append`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The event was accepted with this sequence.
    New(Seq),
    /// The event was accepted before, with this id, and is not accepted again.
    Repeat(Uuid),
}

impl Spool {
    /// Learns the ids of events that were accepted shortly before the process ended: those of these sources, each
    /// remembered for so long. Before anything is accepted.
    pub fn recall(&self, windows: &HashMap<String, Duration>) -> Result<(), ReadError> {
        if windows.is_empty() {
            return Ok(());
        }
        let mut reader = self.parts.journal.reader(self.seen().kept_through());
        while let Some(entry) = reader.next_insisting()? {
            let Entry::Record { bytes, .. } = entry else { continue };
            let Ok(Event { envelope, .. }) = Event::decode(&bytes) else { continue };
            if let Some((key, window)) =
                envelope.attributes.key(&envelope.source).zip(windows.get(&envelope.source))
            {
                self.seen().remember(seen_event(key, envelope.id, envelope.received_at_ms, *window));
            }
        }
        Ok(())
    }

    /// Appends an event, and returns once it is on disk. With `deduplicate`, an event whose source, origin and id are
    /// those of an event that was accepted within the window is not appended again. If that event is being appended,
    /// this waits for its outcome.
    ///
    /// # Errors
    /// The event was not accepted; see [`crate::journal::Journal::append`].
    ///
    /// # Cancel safety
    /// The event may be accepted, and is then remembered, although the future was dropped.
    pub async fn append(
        &self,
        event: &NewEvent<'_>,
        deduplicate: Option<&Deduplicate>,
    ) -> Result<Appended, AppendError> {
        let once = deduplicate.and_then(|once| Some((event.attributes.key(event.source)?, once.window)));
        match once {
            Some((key, window)) => self.append_once(event, key, window).await,
            None => self.queue(event).await.map(Appended::New),
        }
    }

    /// Copies an event from its request straight into the journal's next batch.
    fn queue(&self, event: &NewEvent<'_>) -> Appending {
        let write = |to: &mut Vec<u8>| event.write_record(self.steady_clock.now_ms(), to);
        self.parts.journal.append_with(event.record_len(), write)
    }

    async fn append_once(
        &self,
        event: &NewEvent<'_>,
        key: Key,
        window: Duration,
    ) -> Result<Appended, AppendError> {
        let watermark = self.parts.journal.watermark();
        loop {
            let synced = *watermark.borrow();
            let first = self.seen().begin(key, event.received_at_ms, synced);
            match first {
                First::No(event) => return Ok(Appended::Repeat(event)),
                // It closes when the first is settled.
                First::Wait(mut completed) => _ = completed.changed().await,
                First::Yes => break,
            }
        }
        let (spool, appending) = (self.clone(), self.queue(event));
        let seen = seen_event(key, event.id, event.received_at_ms, window);
        let appending = tokio::spawn(async move {
            let appended = appending.await;
            spool.seen().complete(key, appended.is_ok().then_some(seen));
            appended
        });
        appending.await.unwrap_or(Err(AppendError::Unavailable)).map(Appended::New)
    }

    /// Returns the number of ids that are remembered, and of ids that were forgotten before their time.
    pub fn remembered(&self) -> (usize, u64) {
        let seen = self.seen();
        (seen.len(), seen.forgotten())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seen_event(key: Key, event: Uuid, received_at_ms: i64, window: Duration) -> SeenEvent {
    let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
    SeenEvent { key, event, until_ms: received_at_ms.saturating_add(window_ms) }
}
