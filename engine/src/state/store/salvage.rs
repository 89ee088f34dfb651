//! The readable rows of a damaged state file, copied to a new one: whole rows that have a record. The counts in the
//! destinations' rows show how many are missing; these are counted as damaged.

use std::collections::BTreeSet;
use std::path::Path;

use futures::TryStreamExt;
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Connection};

use super::fault::Fault;
use super::load::{self, DESTINATIONS, HELD};
use super::{OpenError, connect_options, files, rows, schema};
use crate::state::open::Loaded;

/// Queries of each table in both directions, so that damage in the middle hides only the rows that it hit.
const SCANS: &[(&str, &str)] = &[
    (DESTINATIONS, "SELECT * FROM destination ORDER BY rowid"),
    (DESTINATIONS, "SELECT * FROM destination ORDER BY rowid DESC"),
    (HELD, "SELECT * FROM held ORDER BY id"),
    (HELD, "SELECT * FROM held ORDER BY id DESC"),
];

/// Writes what is readable beside the damaged file, synced, and returns what it wrote.
pub(super) async fn salvage(dir: &Path) -> Result<Loaded, OpenError> {
    let target = files::salvaged(dir);
    for suffix in ["-journal", ""] {
        files::remove(&files::beside(&target, suffix))?;
    }
    files::make_private(&target).map_err(|source| OpenError::Files { path: target.clone(), source })?;
    let mut to = connect_options(&target).create_if_missing(true).connect().await.map_err(Fault::from)?;
    schema::open(&mut to).await?;
    let mut loaded = Loaded { fresh: true, held_forgotten: true, ..Loaded::default() };
    // Not even a header may be left of it.
    if let Ok(mut from) = connect_options(&files::state(dir)).connect().await {
        if schema::mend(&mut from).await.is_ok() {
            loaded = copy(&mut from, &mut to).await?;
        }
        let _ = from.close().await;
    }
    to.close().await.map_err(Fault::from)?;
    Ok(loaded)
}

async fn copy(from: &mut SqliteConnection, to: &mut SqliteConnection) -> Result<Loaded, Fault> {
    let mut loaded = scan(from).await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *to).await?;
    let held = loaded.held.len();
    let mut whole = Vec::with_capacity(held);
    for mut row in std::mem::take(&mut loaded.held) {
        // Whether these are the right bytes is asked when they are read, as always.
        let Some(record) = rows::record(from, row.row).await.ok().flatten() else { continue };
        row.record = Some(record.into());
        rows::write_held(to, std::slice::from_ref(&row)).await?;
        row.record = None;
        whole.push(row);
    }
    loaded.held_forgotten |= whole.len() < held;
    loaded.held = whole;
    // Unreadable rows stayed behind.
    loaded.unreadable.clear();
    let destinations: Vec<_> = loaded.destinations.iter().map(|(row, _)| row.clone()).collect();
    rows::write_destinations(to, &destinations).await?;
    rows::write_watermark(to, loaded.watermark).await?;
    rows::write_steady_ms(to, loaded.steady_ms).await?;
    if !loaded.fresh && loaded.lost.is_empty() {
        rows::mark_committed(to).await?;
    }
    sqlx::query("COMMIT").execute(&mut *to).await?;
    Ok(loaded)
}

async fn scan(from: &mut SqliteConnection) -> Result<Loaded, Fault> {
    let mut loaded = Loaded::default();
    let meta = match load::meta(from).await {
        Err(newer @ Fault::Newer { .. }) => return Err(newer),
        meta => meta.unwrap_or_default(),
    };
    for (table, statement) in SCANS {
        let mut rows = sqlx::query(*statement).fetch(&mut *from);
        loop {
            match rows.try_next().await {
                Ok(Some(row)) => load::take(&mut loaded, table, &row, &meta.spans),
                Ok(None) => break,
                Err(_) => {
                    // Which destinations hide there, nobody knows: those not found begin again.
                    loaded.fresh |= *table == DESTINATIONS;
                    loaded.held_forgotten |= *table == HELD;
                    break;
                }
            }
        }
    }
    loaded.fresh |= !meta.committed;
    loaded.held_forgotten |= !meta.committed || !loaded.unreadable.is_empty();
    loaded.watermark = meta.watermark;
    loaded.steady_ms = meta.steady_ms;
    meta.spans.tell(&mut loaded.destinations);
    let mut seen = BTreeSet::new();
    loaded.destinations.retain(|(row, _)| seen.insert(row.id));
    let mut seen = BTreeSet::new();
    loaded.held.retain(|row| seen.insert(row.row));
    let mut seen = BTreeSet::new();
    loaded.lost.retain(|row| seen.insert(row.clone()));
    Ok(loaded)
}
