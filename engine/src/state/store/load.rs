//! Reading the whole state at the start, without the records. A row that is not what was written is left
//! out and named; a file that cannot be walked is an error here, and [`super::salvage`]'s business.

use std::collections::HashMap;

use futures::TryStreamExt;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::checksum::{destination_crc, held_crc, meta_crc};
use super::fault::Fault;
use super::rows::{
    COMMITTED, FILTERED, PAUSED_FOR, PAUSED_UNTIL, REMOVED_FOR, SCHEMA_KEY, SEEN_THROUGH, STEADY_MS,
    WATERMARK, kind_of, lifecycle_of, seen_page,
};
use super::schema::SCHEMA;
use crate::state::batch::{DestinationRow, HeldRow};
use crate::state::held::Pause;
use crate::state::open::{Loaded, LostDestination};
use crate::state::seen::SeenPage;
use crate::state::window::Window;
use crate::state::{DestinationId, Seq};

pub(super) const DESTINATIONS: &str = "SELECT * FROM destination";
pub(super) const HELD: &str = "SELECT * FROM held";
const SEEN: &str = "SELECT id, events, crc FROM seen";

/// Loads everything but the records.
pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Loaded, Fault> {
    let meta = meta(connection).await?;
    let fresh = !meta.committed;
    let mut loaded = Loaded {
        fresh,
        held_forgotten: fresh,
        watermark: meta.watermark,
        seen_through: meta.seen_through,
        steady_ms: meta.steady_ms,
        ..Loaded::default()
    };
    for statement in [DESTINATIONS, HELD] {
        let mut rows = sqlx::query(statement).fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            take(&mut loaded, statement, &row, &meta.spans);
        }
    }
    meta.spans.tell(&mut loaded.destinations);
    let mut rows = sqlx::query(SEEN).fetch(&mut *connection);
    while let Some(row) = rows.try_next().await? {
        // What cannot be read is forgotten: its events would only be repeated.
        loaded.seen.extend(seen(&row));
    }
    Ok(loaded)
}

/// Sorts one row of [`DESTINATIONS`] or [`HELD`].
pub(super) fn take(loaded: &mut Loaded, statement: &str, row: &SqliteRow, spans: &Spans) {
    if statement == HELD {
        match held(row) {
            Some(row) => loaded.held.push(row),
            None => loaded.unreadable.extend(row.try_get::<i64, _>(0).ok()),
        }
    } else {
        match destination(row, spans) {
            Some(whole) => loaded.destinations.push(whole),
            None => loaded.lost.push(lost_destination(row)),
        }
    }
}

/// The settings in a file.
#[derive(Default)]
pub(super) struct Meta {
    /// Set once anything was committed.
    pub(super) committed: bool,
    /// Watermark of the journal at the last commit.
    pub(super) watermark: Seq,
    /// The sequence up to which the ids of accepted events are complete.
    pub(super) seen_through: Seq,
    /// The steady clock's time, in milliseconds.
    pub(super) steady_ms: u64,
    /// Pauses and removals of destinations.
    pub(super) spans: Spans,
}

/// The pauses of destinations, each with its end and its length, of which both are needed; and the time for which each
/// removed one has been removed.
#[derive(Default)]
pub(super) struct Spans {
    removed_for: HashMap<String, u64>,
    paused_until: HashMap<String, i64>,
    paused_for: HashMap<String, u64>,
    filtered: HashMap<String, u64>,
}

impl Spans {
    fn learn(&mut self, key: &str, value: i64) {
        if let Some(id) = key.strip_prefix(PAUSED_UNTIL) {
            self.paused_until.insert(id.to_owned(), value);
        } else if let Some(id) = key.strip_prefix(PAUSED_FOR) {
            self.paused_for.insert(id.to_owned(), value.cast_unsigned());
        } else if let Some(id) = key.strip_prefix(REMOVED_FOR) {
            self.removed_for.insert(id.to_owned(), value.cast_unsigned());
        } else if let Some(id) = key.strip_prefix(FILTERED) {
            self.filtered.insert(id.to_owned(), value.cast_unsigned());
        }
    }

    pub(super) fn tell(&self, destinations: &mut [(DestinationRow, Window)]) {
        for (row, _) in destinations {
            let id = row.id.0.to_string();
            row.removed_for_ms = self.removed_for.get(&id).copied().unwrap_or(0);
            let pause = self.paused_until.get(&id).zip(self.paused_for.get(&id));
            row.pause = pause.map(|(until_ms, for_ms)| Pause { until_ms: *until_ms, for_ms: *for_ms });
        }
    }
}

/// Loads the settings. A row that cannot be trusted counts as absent: then deliveries repeat, a journal that lost its
/// end is noticed only as far as the destinations had got, the whole journal is read for its ids, the steady clock goes
/// by the journal alone, a pause is not kept, or the events of a removed destination are kept for longer.
pub(super) async fn meta(connection: &mut SqliteConnection) -> Result<Meta, Fault> {
    let mut meta = Meta::default();
    for row in sqlx::query("SELECT key, value, crc FROM meta").fetch_all(connection).await? {
        let (Ok(key), Ok(value), Ok(crc)) =
            (row.try_get::<String, _>(0), row.try_get::<i64, _>(1), row.try_get::<i64, _>(2))
        else {
            continue;
        };
        if crc != meta_crc(&key, value) {
            continue;
        }
        match key.as_str() {
            COMMITTED => meta.committed = true,
            WATERMARK => meta.watermark = value.cast_unsigned(),
            SEEN_THROUGH => meta.seen_through = value.cast_unsigned(),
            STEADY_MS => meta.steady_ms = value.cast_unsigned(),
            SCHEMA_KEY if value > SCHEMA => return Err(Fault::Newer { found: value, known: SCHEMA }),
            other => meta.spans.learn(other, value),
        }
    }
    Ok(meta)
}

fn seen(row: &SqliteRow) -> Option<SeenPage> {
    let events = row.try_get::<Vec<u8>, _>("events").ok()?;
    seen_page(row.try_get("id").ok()?, &events, row.try_get("crc").ok()?)
}

fn destination(row: &SqliteRow, spans: &Spans) -> Option<(DestinationRow, Window)> {
    let int = |column: &str| row.try_get::<i64, _>(column).ok();
    let count = |column: &str| int(column).map(i64::cast_unsigned);
    let id = DestinationId(int("id")?.try_into().ok()?);
    let whole = DestinationRow {
        id,
        name: row.try_get("name").ok()?,
        fingerprint: row.try_get("fingerprint").ok()?,
        accepted_at_creation: int("accepted_at_creation")?,
        cursor: count("cursor")?,
        window: row.try_get("window").ok()?,
        delivered: count("delivered")?,
        dropped: count("dropped")?,
        filtered: spans.filtered.get(&id.0.to_string()).copied().unwrap_or(0),
        damaged: count("damaged")?,
        waiting: count("waiting")?,
        dead_lettered: count("dead_lettered")?,
        lifecycle: lifecycle_of(int("lifecycle")?, int("removed_at_ms")?)?,
        pause: None,
        removed_for_ms: 0,
    };
    let window = Window::decode(whole.cursor, &whole.window)?;
    (destination_crc(&whole) == int("crc")?).then_some((whole, window))
}

/// Returns what an unreadable row still identifies.
fn lost_destination(row: &SqliteRow) -> LostDestination {
    let text = |column: &str| {
        let bytes = row.try_get_unchecked::<Vec<u8>, _>(column).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let id = row.try_get::<i64, _>("id").ok().and_then(|id| id.try_into().ok()).unwrap_or_default();
    LostDestination { id: DestinationId(id), name: text("name"), fingerprint: text("fingerprint") }
}

fn held(row: &SqliteRow) -> Option<HeldRow> {
    let int = |column: &str| row.try_get::<i64, _>(column).ok();
    let whole = HeldRow {
        row: int("id")?,
        destination: DestinationId(int("destination")?.try_into().ok()?),
        seq: int("seq")?.cast_unsigned(),
        kind: kind_of(int("kind")?)?,
        attempts: int("attempts")?.try_into().ok()?,
        at_ms: int("at_ms")?,
        delay_ms: int("delay_ms")?.cast_unsigned(),
        received_at_ms: int("received_at_ms")?,
        note: row.try_get::<String, _>("note").ok()?.into(),
        size: int("size")?.cast_unsigned(),
        checksum: int("checksum")?.try_into().ok()?,
        record: None,
    };
    (held_crc(&whole) == int("crc")?).then_some(whole)
}
