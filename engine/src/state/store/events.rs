//! The bytes of events that wait or are dead, read when one of them is tried again or shown.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::Mutex;

use super::fault::{Class, class};
use super::{files, rows};
use crate::state::held::StoredEvent;

/// Reads stored events beside the connection that writes; cheap to clone.
#[derive(Clone, Debug)]
pub struct EventReader {
    dir: PathBuf,
    connection: Arc<Mutex<SqliteConnection>>,
}

/// Reason for which a stored event's bytes cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The bytes are missing or differ from those that were written. Another read does not help.
    #[error("stored event is damaged")]
    Damaged,
    /// The read failed. Another read may succeed.
    #[error("stored event cannot be read")]
    Failed(#[source] sqlx::Error),
}

impl EventError {
    /// Returns whether the event must be counted as damaged.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged)
    }
}

impl EventReader {
    pub(super) fn new(dir: PathBuf, connection: SqliteConnection) -> Self {
        Self { dir, connection: Arc::new(Mutex::new(connection)) }
    }

    /// Reads the bytes of a committed event, exactly as they were stored.
    pub async fn read(&self, event: StoredEvent) -> Result<Bytes, EventError> {
        let mut connection = self.connection.lock().await;
        match rows::record(&mut connection, event.row).await {
            Ok(Some(bytes)) if crc32c::crc32c(&bytes) == event.checksum => Ok(bytes.into()),
            Ok(_) => Err(EventError::Damaged),
            Err(error) => {
                files::suspect(&self.dir, &error);
                match class(&error) {
                    Class::Damaged => Err(EventError::Damaged),
                    Class::Full | Class::Other => Err(EventError::Failed(error)),
                }
            }
        }
    }
}
