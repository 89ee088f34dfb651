//! The tables. `SQLite` keeps what it knows of them as text on the first page, without a checksum: a bit that flips
//! there renames a column of every row, so it is compared with what was made before a row is read.

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::fault::Fault;
use super::load;
use super::rows::{SCHEMA_KEY, write_meta};

/// Version of the schema, raised when a table changes.
pub(super) const SCHEMA: i64 = 2;
/// Version of a file in which no destination has filtered an event.
const FIRST: i64 = 1;

/// Names, and how they were made. Records are apart from their events' rows: those change often, and are all read at
/// the start.
pub(super) const TABLES: [(&str, &str); 5] = [
    ("meta", "CREATE TABLE meta (key TEXT NOT NULL, value INTEGER NOT NULL, crc INTEGER NOT NULL)"),
    (
        "destination",
        "CREATE TABLE destination (id INTEGER NOT NULL, name TEXT NOT NULL, fingerprint TEXT NOT NULL,
        accepted_at_creation INTEGER NOT NULL, cursor INTEGER NOT NULL, window BLOB NOT NULL,
        delivered INTEGER NOT NULL, dropped INTEGER NOT NULL, damaged INTEGER NOT NULL,
        waiting INTEGER NOT NULL, dead_lettered INTEGER NOT NULL,
        lifecycle INTEGER NOT NULL, removed_at_ms INTEGER NOT NULL, crc INTEGER NOT NULL)",
    ),
    (
        "held",
        "CREATE TABLE held (id INTEGER PRIMARY KEY, destination INTEGER NOT NULL, seq INTEGER NOT NULL,
        kind INTEGER NOT NULL, attempts INTEGER NOT NULL, at_ms INTEGER NOT NULL, delay_ms INTEGER NOT NULL,
        received_at_ms INTEGER NOT NULL, note TEXT NOT NULL, size INTEGER NOT NULL, checksum INTEGER NOT NULL,
        crc INTEGER NOT NULL)",
    ),
    ("record", "CREATE TABLE record (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)"),
    ("seen", "CREATE TABLE seen (id INTEGER PRIMARY KEY, events BLOB NOT NULL, crc INTEGER NOT NULL)"),
];

/// Makes the tables in an empty file; those of any other have to be as they were made.
pub(super) async fn open(connection: &mut SqliteConnection) -> Result<(), Fault> {
    let found = described(connection).await?;
    if found.is_empty() {
        create(connection).await?;
    } else if found != as_made() {
        // Those of a later version may be others: this tells.
        load::meta(connection).await?;
        return Err(Fault::Damaged(sqlx::Error::Protocol("its tables are not as they were made".into())));
    }
    Ok(())
}

/// Puts the tables of a damaged file right, in a transaction that the caller must never commit: what is set aside stays
/// as it was found. Where this fails, nothing can be read.
pub(super) async fn mend(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    if described(connection).await.is_ok_and(|found| found == as_made()) {
        return Ok(());
    }
    for statement in ["PRAGMA writable_schema = ON", "BEGIN IMMEDIATE"] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    for (number, (name, table)) in (1_i64..).zip(TABLES) {
        sqlx::query(
            "UPDATE sqlite_schema SET type = 'table', name = ?1, tbl_name = ?1, sql = ?2 WHERE rowid = ?3",
        )
        .bind(name)
        .bind(table)
        .bind(number)
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query("PRAGMA writable_schema = RESET").execute(connection).await?;
    Ok(())
}

async fn create(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    for (_, table) in TABLES {
        sqlx::query(table).execute(&mut *connection).await?;
    }
    write_meta(connection, SCHEMA_KEY, FIRST).await?;
    sqlx::query("COMMIT").execute(connection).await?;
    Ok(())
}

/// Returns the definitions of the file's tables, with one space between words. The place where a table begins is not
/// compared: `VACUUM` may move it.
async fn described(connection: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    let rows = sqlx::query("SELECT sql FROM sqlite_schema").fetch_all(connection).await?;
    rows.iter().map(|row| Ok(words(row.try_get(0)?))).collect()
}

fn as_made() -> Vec<String> {
    TABLES.iter().map(|(_, table)| words(table)).collect()
}

fn words(statement: &str) -> String {
    statement.split_whitespace().collect::<Vec<_>>().join(" ")
}
