//! The state file: `SQLite` in write-ahead mode, one connection that writes, one that reads.
//! Rows carry a CRC, for `SQLite` notices damage to its structure but not to what is in it.

mod checksum;
mod events;
mod fault;
mod files;
mod load;
mod rows;
mod salvage;
mod schema;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::Mutex;

pub use self::events::{EventError, EventReader};
use self::fault::{Class, Fault, class};
use super::batch::Batch;
use super::limits::database_bytes;
use super::open::Loaded;

/// The open state file.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    writer: Mutex<Writer>,
    events: EventReader,
    files: files::OpenedFiles,
}

#[derive(Debug)]
struct Writer {
    connection: SqliteConnection,
    /// Set if the file records that something was committed to it.
    marked: bool,
}

/// Options of the state file.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// Maximum number of bytes on disk, the write-ahead log included.
    pub max_bytes: u64,
}

/// Reason for which the state file cannot be opened, although it is not damaged.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Written by a version of Visnyk that this one does not know.
    #[error("state file has schema {found}, this version knows up to {known}")]
    NewerSchema {
        /// Version of the file's schema.
        found: i64,
        /// Highest version that is known.
        known: i64,
    },
    /// An operation of the file system failed.
    #[error("state file {path} cannot be moved or created")]
    Files {
        /// Path of the file or folder.
        path: PathBuf,
        /// Error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// `SQLite` failed, for another reason than damage.
    #[error("state file cannot be opened")]
    Sqlite(#[source] sqlx::Error),
}

/// Reason for which a batch is not in the file.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// No space, in the file system or within the file's bounds. Trying again later makes sense.
    #[error("no space for the state file")]
    Full(#[source] sqlx::Error),
    /// Any other error: the content of the file is not known until it is opened again.
    #[error("state file cannot be written")]
    Broken(#[source] sqlx::Error),
}

impl Store {
    /// Opens the state file of a data folder, or makes one. A damaged file is set aside; what can be read
    /// of it goes on in a new one. `now_ms` names the file set aside.
    pub async fn open(dir: &Path, options: StoreOptions, now_ms: i64) -> Result<(Self, Loaded), OpenError> {
        files::finish_replacement(dir)?;
        match Self::open_file(dir, options).await {
            Ok(opened) => return Ok(opened),
            Err(Fault::Damaged(error)) => {
                tracing::error!(%error, "state file is damaged: setting it aside");
            }
            Err(fault) => return Err(fault.into()),
        }
        let mut salvaged = salvage::salvage(dir).await?;
        salvaged.set_aside = Some(files::replace(dir, now_ms)?);
        let (store, loaded) = Self::open_file(dir, options).await?;
        // The file has only what is whole; which destinations were lost is known here alone.
        salvaged.fresh |= loaded.fresh;
        Ok((store, salvaged))
    }

    async fn open_file(dir: &Path, options: StoreOptions) -> Result<(Self, Loaded), Fault> {
        let file = files::state(dir);
        files::make_private(&file).map_err(|error| Fault::from(sqlx::Error::Io(error)))?;
        let pages = database_bytes(options.max_bytes) / 4096;
        let log = options.max_bytes - database_bytes(options.max_bytes);
        let write = connect_options(&file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("max_page_count", pages.to_string())
            .pragma("journal_size_limit", log.to_string());
        let mut connection = write.connect().await?;
        schema::open(&mut connection).await?;
        files::check(dir, &mut connection).await?;
        let loaded = load::load(&mut connection).await?;
        let reader = connect_options(&file).read_only(true).connect().await?;
        let writer = Writer { connection, marked: !loaded.fresh };
        let events = EventReader::new(dir.to_owned(), reader);
        let files = files::OpenedFiles::of(dir).map_err(|error| Fault::from(sqlx::Error::Io(error)))?;
        Ok((Self { dir: dir.to_owned(), writer: Mutex::new(writer), events, files }, loaded))
    }

    /// Writes a batch in one transaction, synced.
    ///
    /// # Cancel safety
    /// Dropped half-way, the batch is not in the file, or is; the next commit starts over.
    pub async fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        let mut writer = self.writer.lock().await;
        let mut written = writer.commit(batch).await;
        if written.is_ok() {
            written = self.files.check().map_err(sqlx::Error::Io);
        } else if let Err(error) = &written {
            // After some errors SQLite has rolled back already, and then has nothing to roll back.
            let _ = sqlx::query("ROLLBACK").execute(&mut writer.connection).await;
            files::suspect(&self.dir, error);
        }
        written.map_err(|error| match class(&error) {
            Class::Full => CommitError::Full(error),
            Class::Damaged | Class::Other => CommitError::Broken(error),
        })
    }

    /// Returns a reader of the events in the file.
    pub fn events(&self) -> EventReader {
        self.events.clone()
    }

    /// Executes a statement of a test: harm that only the database itself can do.
    #[cfg(test)]
    pub(super) async fn execute(&self, statement: &'static str) {
        let mut writer = self.writer.lock().await;
        sqlx::query(statement).execute(&mut writer.connection).await.expect("the test's statement runs");
    }

    /// Closes the file for writing.
    pub async fn close(self) -> Result<(), sqlx::Error> {
        self.writer.into_inner().connection.close().await
    }
}

impl Writer {
    async fn commit(&mut self, batch: &Batch) -> Result<(), sqlx::Error> {
        let connection = &mut self.connection;
        if let Err(error) = sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await {
            // A commit that was dropped half-way has left its transaction open.
            sqlx::query("ROLLBACK").execute(&mut *connection).await.map_err(|_| error)?;
            sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
        }
        // Deletes come first: what they free is there for what follows.
        rows::delete_held(connection, &batch.gone).await?;
        rows::write_destinations(connection, &batch.destinations).await?;
        rows::write_held(connection, &batch.held).await?;
        rows::write_seen(connection, &batch.seen).await?;
        rows::write_watermark(connection, batch.watermark).await?;
        rows::write_steady_ms(connection, batch.steady_ms).await?;
        if !self.marked {
            rows::mark_committed(connection).await?;
        }
        sqlx::query("COMMIT").execute(&mut *connection).await?;
        self.marked = true;
        Ok(())
    }
}

fn connect_options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(file).disable_statement_logging()
}
