//! The rows of the tables and the statements that write them. Every row but a record's ends in a CRC over the others
//! of its columns; a record's CRC is in its event's row.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sqlx::Row;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection};

use super::checksum::{destination_crc, held_crc, meta_crc, seen_crc};
use super::schema::SCHEMA;
use crate::state::Seq;
use crate::state::batch::{DestinationRow, HeldRow};
use crate::state::held::{HeldKind, Pause};
use crate::state::seen::{SeenBatch, SeenPage};
use crate::state::status::Lifecycle;

/// Key of the schema's version in `meta`.
pub(super) const SCHEMA_KEY: &str = "schema";
pub(super) const COMMITTED: &str = "committed";
/// Key of the journal's watermark.
pub(super) const WATERMARK: &str = "watermark";
/// Key of the sequence up to which the ids of accepted events are complete.
pub(super) const SEEN_THROUGH: &str = "seen_through";
/// Key of the steady clock's time.
pub(super) const STEADY_MS: &str = "steady_ms";
/// Prefix of the end and the length of a destination's pause. The destination's key follows.
pub(super) const PAUSED_UNTIL: &str = "paused_until ";
pub(super) const PAUSED_FOR: &str = "paused_for ";
/// Prefix of the time for which a destination has been removed, by a monotonic clock. The destination's key follows.
pub(super) const REMOVED_FOR: &str = "removed_for ";
/// Prefix of the number of events that a destination's `when` did not select. The destination's key follows.
pub(super) const FILTERED: &str = "filtered ";

/// Rows per statement: each statement costs a visit to the connection's thread.
const MANY: usize = 100;

const HELD_ONE: &str = "INSERT OR REPLACE INTO held VALUES (?,?,?,?,?,?,?,?,?,?,?,?)";
static HELD_MANY: LazyLock<String> =
    LazyLock::new(|| format!("{HELD_ONE}{}", ",(?,?,?,?,?,?,?,?,?,?,?,?)".repeat(MANY - 1)));
const RECORD_ONE: &str = "INSERT OR REPLACE INTO record VALUES (?,?)";
static RECORD_MANY: LazyLock<String> = LazyLock::new(|| format!("{RECORD_ONE}{}", ",(?,?)".repeat(MANY - 1)));

/// Records that the file knows its destinations.
pub(super) async fn mark_committed(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    write_meta(connection, COMMITTED, 1).await
}

/// Writes the journal's watermark.
pub(super) async fn write_watermark(
    connection: &mut SqliteConnection,
    watermark: Seq,
) -> Result<(), sqlx::Error> {
    write_meta(connection, WATERMARK, watermark.cast_signed()).await
}

/// Says what time it is by the steady clock.
pub(super) async fn write_steady_ms(
    connection: &mut SqliteConnection,
    steady_ms: u64,
) -> Result<(), sqlx::Error> {
    write_meta(connection, STEADY_MS, steady_ms.cast_signed()).await
}

pub(super) async fn write_meta(
    connection: &mut SqliteConnection,
    key: &str,
    value: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM meta WHERE key = ?").bind(key).execute(&mut *connection).await?;
    sqlx::query("INSERT INTO meta VALUES (?,?,?)")
        .bind(key)
        .bind(value)
        .bind(meta_crc(key, value))
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// Writes ids of accepted events, and forgets old ones.
pub(super) async fn write_seen(
    connection: &mut SqliteConnection,
    batch: &SeenBatch,
) -> Result<(), sqlx::Error> {
    for row in &batch.gone {
        sqlx::query("DELETE FROM seen WHERE id = ?").bind(row).execute(&mut *connection).await?;
    }
    for page in &batch.pages {
        let events = page.encode();
        let crc = seen_crc(page.row, &events);
        sqlx::query("INSERT OR REPLACE INTO seen VALUES (?,?,?)")
            .bind(page.row)
            .bind(events)
            .bind(crc)
            .execute(&mut *connection)
            .await?;
    }
    write_meta(connection, SEEN_THROUGH, batch.through.cast_signed()).await
}

/// Returns a row of ids as it was written, if it is whole.
pub(super) fn seen_page(row: i64, events: &[u8], crc: i64) -> Option<SeenPage> {
    if seen_crc(row, events) == crc { SeenPage::decode(row, events) } else { None }
}

/// Forgets events that are held no more.
pub(super) async fn delete_held(connection: &mut SqliteConnection, ids: &[i64]) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut list = String::from("[");
    for id in ids {
        let _ = write!(list, "{id},");
    }
    list.pop();
    list.push(']');
    for statement in [
        "DELETE FROM held WHERE id IN (SELECT value FROM json_each(?))",
        "DELETE FROM record WHERE id IN (SELECT value FROM json_each(?))",
    ] {
        sqlx::query(statement).bind(&list).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Replaces all destinations by these.
pub(super) async fn write_destinations(
    connection: &mut SqliteConnection,
    rows: &[DestinationRow],
) -> Result<(), sqlx::Error> {
    for statement in [
        "DELETE FROM destination",
        "DELETE FROM meta WHERE key LIKE 'paused%' OR key LIKE 'removed%' OR key LIKE 'filtered%'",
    ] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    for row in rows {
        if let Some(Pause { until_ms, for_ms }) = row.pause {
            write_meta(connection, &format!("{PAUSED_UNTIL}{}", row.id.0), until_ms).await?;
            write_meta(connection, &format!("{PAUSED_FOR}{}", row.id.0), for_ms.cast_signed()).await?;
        }
        if row.removed_for_ms > 0 {
            write_meta(connection, &format!("{REMOVED_FOR}{}", row.id.0), row.removed_for_ms.cast_signed())
                .await?;
        }
        if row.filtered > 0 {
            write_meta(connection, SCHEMA_KEY, SCHEMA).await?;
            write_meta(connection, &format!("{FILTERED}{}", row.id.0), row.filtered.cast_signed()).await?;
        }
        let (lifecycle, removed_at_ms) = lifecycle_columns(row.lifecycle);
        sqlx::query("INSERT INTO destination VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)")
            .bind(i64::from(row.id.0))
            .bind(&row.name)
            .bind(&row.fingerprint)
            .bind(row.accepted_at_creation)
            .bind(row.cursor.cast_signed())
            .bind(&row.window)
            .bind(row.delivered.cast_signed())
            .bind(row.dropped.cast_signed())
            .bind(row.damaged.cast_signed())
            .bind(row.waiting.cast_signed())
            .bind(row.dead_lettered.cast_signed())
            .bind(lifecycle)
            .bind(removed_at_ms)
            .bind(destination_crc(row))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Writes events that are held, and the records that the file does not have.
pub(super) async fn write_held(
    connection: &mut SqliteConnection,
    rows: &[HeldRow],
) -> Result<(), sqlx::Error> {
    let (many, one) = rows.as_chunks::<MANY>();
    for rows in many {
        bind_all(&HELD_MANY, rows, bind_held).execute(&mut *connection).await?;
    }
    for row in one {
        bind_held(sqlx::query(HELD_ONE), row).execute(&mut *connection).await?;
    }
    let records: Vec<_> = rows.iter().filter(|row| row.record.is_some()).collect();
    let (many, one) = records.as_chunks::<MANY>();
    for rows in many {
        bind_all(&RECORD_MANY, rows, |query, row| bind_record(query, row)).execute(&mut *connection).await?;
    }
    for row in one {
        bind_record(sqlx::query(RECORD_ONE), row).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Reads the bytes of one record, if there are any.
pub(super) async fn record(
    connection: &mut SqliteConnection,
    id: i64,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    let row =
        sqlx::query("SELECT bytes FROM record WHERE id = ?").bind(id).fetch_optional(connection).await?;
    // Whatever type damage made of it: the CRC decides.
    row.map(|row| row.try_get_unchecked(0)).transpose()
}

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

fn bind_all<'q, T>(
    statement: &'static str,
    rows: &'q [T],
    bind: impl Fn(Statement<'q>, &'q T) -> Statement<'q>,
) -> Statement<'q> {
    rows.iter().fold(sqlx::query(statement), bind)
}

fn bind_held<'q>(query: Statement<'q>, row: &'q HeldRow) -> Statement<'q> {
    query
        .bind(row.row)
        .bind(i64::from(row.destination.0))
        .bind(row.seq.cast_signed())
        .bind(kind_column(row.kind))
        .bind(i64::from(row.attempts))
        .bind(row.at_ms)
        .bind(row.delay_ms.cast_signed())
        .bind(row.received_at_ms)
        .bind(row.note.as_ref())
        .bind(row.size.cast_signed())
        .bind(i64::from(row.checksum))
        .bind(held_crc(row))
}

fn bind_record<'q>(query: Statement<'q>, row: &'q HeldRow) -> Statement<'q> {
    query.bind(row.row).bind(row.record.as_deref())
}

pub(super) fn kind_column(kind: HeldKind) -> i64 {
    match kind {
        HeldKind::Waiting => 0,
        HeldKind::Dead => 1,
    }
}

pub(super) fn kind_of(column: i64) -> Option<HeldKind> {
    [HeldKind::Waiting, HeldKind::Dead].into_iter().find(|kind| kind_column(*kind) == column)
}

pub(super) fn lifecycle_columns(lifecycle: Lifecycle) -> (i64, i64) {
    match lifecycle {
        Lifecycle::Active => (0, 0),
        Lifecycle::Disabled => (1, 0),
        Lifecycle::Removed { at_ms } => (2, at_ms),
    }
}

pub(super) fn lifecycle_of(column: i64, at_ms: i64) -> Option<Lifecycle> {
    let all = [Lifecycle::Active, Lifecycle::Disabled, Lifecycle::Removed { at_ms }];
    all.into_iter().find(|lifecycle| lifecycle_columns(*lifecycle).0 == column)
}
