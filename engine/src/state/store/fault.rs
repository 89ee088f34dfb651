//! The meaning of `SQLite`'s errors for the state: wait, set the file aside, or give up.

use super::OpenError;

/// The meaning of an error for the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// There is no space.
    Full,
    /// The file is damaged.
    Damaged,
    /// Any other error, such as missing permissions or a failing disk.
    Other,
}

/// Reason for which a file cannot be used as it is.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file is damaged.
    Damaged(sqlx::Error),
    /// A later version of Visnyk wrote the file.
    Newer { found: i64, known: i64 },
    /// An error that is neither damage nor lack of space.
    Other(sqlx::Error),
}

/// Primary result codes of <https://sqlite.org/rescode.html>, in the low byte of every code.
mod primary {
    pub const ERROR: i32 = 1;
    pub const CORRUPT: i32 = 11;
    pub const FULL: i32 = 13;
    pub const NOT_A_DATABASE: i32 = 26;
}

/// Extended error codes of `SQLite`.
mod extended {
    pub const IOERR_SHORT_READ: i32 = 0x20a;
    /// The index of the write-ahead log cannot grow, which only happens without space.
    pub const IOERR_SHM_SIZE: i32 = 0x130a;
    pub const IOERR_CORRUPT_FILE_SYSTEM: i32 = 0x210a;
}

/// Sorts an error of any statement.
pub(super) fn class(error: &sqlx::Error) -> Class {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let Some(code) = code.and_then(|code| code.parse::<i32>().ok()) else {
        // The database answered, but with another type than was written; or the trouble is ours.
        let is_decode = matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_));
        return if is_decode { Class::Damaged } else { Class::Other };
    };
    match (code, code & 0xff) {
        (extended::IOERR_SHM_SIZE, _) | (_, primary::FULL) => Class::Full,
        // A plain error: tables or columns are missing or malformed, for the statements never change.
        (extended::IOERR_SHORT_READ | extended::IOERR_CORRUPT_FILE_SYSTEM, _)
        | (_, primary::CORRUPT | primary::NOT_A_DATABASE | primary::ERROR) => Class::Damaged,
        _ => Class::Other,
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        match class(&error) {
            Class::Damaged => Self::Damaged(error),
            Class::Full | Class::Other => Self::Other(error),
        }
    }
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Newer { found, known } => Self::NewerSchema { found, known },
            Fault::Damaged(error) | Fault::Other(error) => Self::Sqlite(error),
        }
    }
}
